package main

import (
	"fmt"
	"time"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/journal"
)

// startWithin is how long a guest may take from prepare until QEMU runs. After
// that it counts as one that will not: release may not have been called, or
// have been killed, and libvirtd, which answers for the start, lives on.
const startWithin = 10 * time.Minute

// prepare makes the host ready for a guest that is about to start. The XML is
// libvirt's last word; nothing printed would change it.
func (c *call) prepare() error {
	_, guest, huge, err := c.guest()
	if err != nil {
		return err // libvirt has read it, and may start it without us
	}
	if !huge {
		c.event.Result = hook.Passed
		return nil
	}
	c.mend(&guest)
	if err := c.hold(guest, startWithin); err != nil {
		return err
	}
	c.event.Result = hook.Held
	return nil
}

// mendDeadline is for others who change the host at the moment.
const mendDeadline = 10 * time.Second

// mend changes what keeps QEMU from its pages as far as libvirtd need not be
// restarted for it. What is in the way still is noted: libvirt will say so
// itself when it fails the start.
func (c *call) mend(guest *hostprep.Guest) {
	now := c.host.Snapshot()
	findings := check.RunMounts(now, *guest)
	for _, f := range findings {
		if f.Severity == hostprep.Blocker && !f.Fixable {
			c.note(fmt.Errorf("%s; %s", f.Have, f.Do))
		}
	}
	if changes := hostprep.Fixes(findings); len(changes) > 0 {
		c.change(changes, journal.Journal{Host: c.host}.Apply)
		return
	}
	guest.Kept = check.KeptByNone(now) // or the mounts would be read once more
}

// change makes changes, and notes what comes of it.
func (c *call) change(changes []change.Change, apply func([]change.Change) error) {
	done := make(chan error, 1)
	go func() { done <- guarded(func() error { return apply(changes) }) }()
	select {
	case err := <-done:
		if err == nil {
			c.event.Changed = changes
		}
		c.note(err)
	case <-time.After(mendDeadline):
		c.note(fmt.Errorf("not done within %s: %s", mendDeadline, change.Join(changes)))
	}
}
