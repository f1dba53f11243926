package launcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"vmhuge/hostprep/ledger"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

// Stopped is what stop did.
type Stopped struct {
	Name  string `json:"name"`
	UUID  string `json:"uuid"`
	State State  `json:"state"`
	Done  bool   `json:"done"` // it was running and runs no more
	// GivenKiB went back to the host; OwedKiB waits until others who use it end.
	GivenKiB int64 `json:"given_back_kib"`
	OwedKiB  int64 `json:"owed_kib"`
	KeptKiB  int64 `json:"kept_kib"` // stays for it
}

// StopOptions is how a stop goes about it.
type StopOptions struct {
	Timeout  time.Duration
	Force    bool // end a guest that does not shut down in time
	Progress Progress
}

// Stop asks the guest to shut down, waits for it, and gives back the pages
// that were added for it. After the timeout it is an error, or with force the
// guest is ended.
func (l *Launcher) Stop(ctx context.Context, name string, o StopOptions) (Stopped, error) {
	d, err := l.find(name)
	if err != nil {
		return Stopped{}, err
	}
	defer d.Free()
	s := Stopped{Name: d.name, UUID: d.uuid, State: d.state}
	if d.state.active() {
		if err := l.shutdown(ctx, d, o); err != nil {
			return s, err
		}
		s.State, s.Done = ShutOff, true
	}
	if !l.qemu || l.remote {
		return s, nil // no pages of ours there
	}
	o.Progress.say("freeing its pages")
	given, owed, err := l.giveBack(ctx, d.uuid)
	s.GivenKiB, s.OwedKiB = given/pages.KiB, owed/pages.KiB
	if err == nil {
		s.KeptKiB, err = l.keptFor(d.uuid)
	}
	return s, advice.About(err, "stopping %s", d.name)
}

// giveBack returns to the host what was added for a guest that is gone, and
// says how many bytes went and how many must wait.
func (l *Launcher) giveBack(ctx context.Context, uuid string) (given, owed int64, err error) {
	claims, err := ledger.ReadClaims(l.host.Root)
	if err != nil || !slices.ContainsFunc(claims, func(c ledger.Claim) bool { return c.UUID == uuid }) {
		return 0, 0, err
	}
	book, err := ledger.Open(ctx, l.host.Root)
	if err != nil {
		return 0, 0, err
	}
	defer l.closeLedger(book, uuid)
	// Opening it has given back already what it found without a guest.
	for _, s := range book.Settled {
		if s.UUID == uuid {
			given = s.Given
		}
	}
	more, owed, err := book.Release(uuid)
	return given + more, owed, err
}

// poll is how often a guest that shuts down is looked at.
const poll = 100 * time.Millisecond

func (l *Launcher) shutdown(ctx context.Context, d *domain, o StopOptions) error {
	what := "stopping " + d.name
	o.Progress.say("waiting for it to shut down")
	asked := d.Shutdown()
	if asked == nil {
		gone, err := l.waitGone(ctx, d, o.Timeout)
		if err != nil || gone {
			return err
		}
	}
	err := asked
	if o.Force {
		err = d.Destroy()
	}
	active, unknown := d.active() // it may have ended by itself since it was last looked at
	switch {
	case o.Force && err == nil, unknown == nil && !active:
		return nil
	case err != nil:
		return refused(err, what)
	}
	return advice.New(what, fmt.Sprintf("it was asked to shut down and still runs after %s", o.Timeout),
		"wait longer (--timeout), or power it off (--force)")
}

// active says whether it runs now. A transient domain that has ended is unknown to libvirt.
func (d *domain) active() (bool, error) {
	active, err := d.IsActive()
	if isGone(err) {
		return false, nil
	}
	return active, err
}

func (l *Launcher) waitGone(ctx context.Context, d *domain, timeout time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	for {
		active, err := d.active()
		if err != nil {
			return false, refused(err, "stopping "+d.name)
		}
		if !active {
			return true, nil
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errTimeout) {
				return false, nil
			}
			return false, advice.New("stopping "+d.name, "interrupted", "it may still shut down; vmhuge stop waits for it again")
		}
	}
}

var errTimeout = errors.New("time is up")
