package main

import (
	"errors"
	"time"

	"vmhuge/hostprep/hook"
	"vmhuge/xml"
)

// prepareWithin is how soon prepare follows restore.
const prepareWithin = 30 * time.Second

// restore takes huge pages out of the XML of a guest that is restored where
// there is no room for them, if that was asked for. libvirt goes on with what
// is printed. prepare comes next, and finds what was got here.
func (c *call) restore() error {
	settings, err := hook.ReadSettings(c.host)
	if err != nil || !settings.DropIfShort {
		return err
	}
	doc, guest, huge, err := c.guest()
	if err != nil || !huge {
		return err
	}
	err = c.hold(guest, prepareWithin)
	no := (*refusal)(nil)
	if !errors.As(err, &no) {
		c.event.Result = hook.Held // unless there is an error
		return err
	}
	// What can't be taken out stays, and prepare will say why the start fails.
	if c.stdout, err = xml.Drop(doc); err != nil {
		return err
	}
	c.event.Result = hook.Dropped
	c.note(no)
	return nil
}
