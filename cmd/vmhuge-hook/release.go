package main

import (
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/ledger"
	"vmhuge/xml"
)

// release gives back what was added for a guest that has ended or did not come
// to run. It asks nothing but the ledger, and may be called again.
func (c *call) release() error {
	if !ledger.HasClaims(c.host.Root) {
		return nil
	}
	doc, err := c.document()
	if err != nil {
		return err
	}
	if _, c.event.UUID, err = xml.Identity(doc); err != nil {
		return err
	}
	// A guest whose XML asks for nothing may have a claim, as one whose only
	// memory device on huge pages was unplugged; it need not wait for the lock if not.
	if !mayDemand(doc) && !ledger.HasClaim(c.host.Root, c.event.UUID) {
		return nil
	}
	book, err := c.openLedger(c.event.UUID)
	if err != nil {
		return err
	}
	defer c.closeLedger(book)
	// Opening it has given back already what it found without a guest.
	for _, s := range book.Settled {
		if s.UUID == c.event.UUID {
			c.event.Given = s.Given
		}
	}
	given, owed, err := book.Release(c.event.UUID)
	c.event.Given, c.event.Owed = c.event.Given+given, owed
	c.event.Result = hook.Released
	return err
}
