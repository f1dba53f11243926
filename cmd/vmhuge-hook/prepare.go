package main

import (
	"fmt"
	"time"

	"vmhuge/hostprep"
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
		c.event.Result = hostprep.HookPassed
		return nil
	}
	c.mend(guest)
	if err := c.hold(guest, time.Now().Add(startWithin)); err != nil {
		return err
	}
	c.event.Result = hostprep.HookHeld
	return nil
}

// mendDeadline is for others who change the host at the moment.
const mendDeadline = 10 * time.Second

// mend changes what keeps QEMU from its pages as far as libvirtd need not be
// restarted for it. What is in the way still is noted: libvirt will say so
// itself when it fails the start.
func (c *call) mend(guest hostprep.Guest) {
	findings := hostprep.RunMounts(c.host, guest)
	for _, f := range findings {
		if f.Severity == hostprep.Blocker && !f.Fixable {
			c.note(fmt.Errorf("%s; %s", f.Have, f.Do))
		}
	}
	changes := hostprep.Mending(findings)
	if len(changes) == 0 {
		return
	}
	done := make(chan error, 1)
	go func() { done <- hostprep.Journal{Host: c.host}.Apply(changes) }()
	select {
	case err := <-done:
		if err == nil {
			c.event.Changed = changes
		}
		c.note(err)
	case <-time.After(mendDeadline):
		c.note(fmt.Errorf("not done within %s: %s", mendDeadline, hostprep.JoinChanges(changes)))
	}
}
