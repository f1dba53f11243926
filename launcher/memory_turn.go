package launcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

// errOvertaken is that another change of a guest's memory came first: this one must be planned anew.
var errOvertaken = errors.New("another change of its memory came first")

// resizeInTurn makes a change as soon as no other change of the guest's memory is under way, if
// that is within the time that the guest may take.
func (l *Launcher) resizeInTurn(ctx context.Context, d *domain, what string, o ResizeOptions, r *Resized) error {
	first, timeout, until := *r, o.Timeout, time.Now().Add(o.Timeout)
	err := l.resizePlanned(ctx, d, what, o, r)
	overtaken := errors.Is(err, errOvertaken)
	for errors.Is(err, errOvertaken) {
		o.Progress.say("waiting for another change of its memory to end")
		select {
		case <-ctx.Done():
			return interruptedResize(ctx.Err(), what)
		case <-time.After(poll):
		}
		if o.Timeout = time.Until(until).Round(time.Second); o.Timeout <= 0 {
			return advice.New(what, fmt.Sprintf("other changes of its memory have not ended within %s", timeout), "wait for them to end, and run the command again")
		}
		*r = first
		err = l.resizePlanned(ctx, d, what, o, r)
	}
	if overtaken && err == nil {
		r.Warnings = append(r.Warnings, "another change of its memory came first, and this one was planned anew, from "+pages.FormatKiB(r.BeforeKiB)+" on")
	}
	return err
}

// sameMemory ends a resize that has begun if another change has ended since it was planned: the guest
// would be asked for an amount that leaves the other out, and the ledger would count both.
func (l *Launcher) sameMemory(ctx context.Context, d *domain, p resizing, what string, r *Resized) error {
	now, err := liveMemory(d, what)
	if err == nil && !now.Same(p.before) {
		err = errOvertaken
	}
	if err == nil {
		return nil
	}
	ended := l.endResize(context.WithoutCancel(ctx), d, 0, true, r)
	if ended != nil && errors.Is(err, errOvertaken) {
		return ended
	}
	return errors.Join(err, ended)
}
