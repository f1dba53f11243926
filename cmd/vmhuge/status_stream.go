package main

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/internal/advice"
	"vmhuge/launcher"
	"vmhuge/watch"
)

// patience is how long libvirt may take to answer before that is told.
const patience = 5 * time.Second

// streamStatus prints the status as a line of JSON, and again whenever it has changed,
// until it is interrupted or nobody reads it any more.
func (p *program) streamStatus(ctx context.Context, names []string) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGPIPE)
	defer stop()
	source := newFollowed(p, names)
	if err := watch.Files(ctx, p.host(), source.changed); err != nil {
		return advice.Wrap(err, "watching the host's files", "raise fs.inotify.max_user_instances")
	}
	readings := make(chan hostStatus)
	go source.run(ctx, readings)
	tick := time.NewTicker(watch.Interval)
	defer tick.Stop()
	var shown shownStatus
	for {
		var s hostStatus
		select {
		case <-ctx.Done():
			return nil
		case s = <-readings:
		case <-tick.C:
			if noReader(p.stdout) {
				return nil
			}
			if source.waiting() < patience {
				continue
			}
			s.unreachable = advice.New("asking "+p.uri, "it does not answer", "restart libvirt's daemon")
			s.Status, s.err = launcher.ReadHostStatus(p.host())
		}
		if s.err != nil {
			return s.err
		}
		answer := s.answer()
		if answer.Changed = shown.update(answer); answer.Changed != nil {
			p.printJSON(answer)
		}
	}
}

// noReader says whether nobody can read what is written to a pipe or socket.
func noReader(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(f.Fd())}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
}

// shownStatus is the fields of the line that was printed last.
type shownStatus map[string]string

// update returns the fields that differ from the last line's; nil: none. Of the first line
// it is an empty list.
func (shown *shownStatus) update(answer statusAnswer) []string {
	answer.Pools = slices.Clone(answer.Pools)
	for i := range answer.Pools {
		answer.Pools[i].CouldMake = &hostprep.CouldMake{} // as free memory, it never stays the same
	}
	if answer.CMA != nil {
		answer.CMA = &host.CMA{TotalKiB: answer.CMA.TotalKiB}
	}
	text, err := object(answer)
	fields := map[string]json.RawMessage{}
	if err != nil || json.Unmarshal(text, &fields) != nil {
		return []string{} // printing it tells why
	}
	now := shownStatus{}
	for name, value := range fields {
		now[name] = string(value)
	}
	before := *shown
	changed := []string{}
	names := maps.Clone(now)
	maps.Copy(names, before)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if told := name == "settled" && len(answer.Settled) == 0; before[name] != now[name] && !told {
			changed = append(changed, name)
		}
	}
	*shown = now
	switch {
	case before == nil:
		return []string{}
	case len(changed) == 0:
		return nil
	}
	return changed
}
