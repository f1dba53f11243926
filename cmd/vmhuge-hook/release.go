package main

import (
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/pool"
	"vmhuge/xml"
)

// release gives back what was added for a guest that has ended or did not come
// to run. It asks nothing but the ledger, and may be called again.
func (c *call) release() error {
	if !pool.HasClaims(c.host.Root) {
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
	if !mayDemand(doc) && !pool.HasClaim(c.host.Root, c.event.UUID) {
		return nil
	}
	ledger, err := c.openLedger()
	if err != nil {
		return err
	}
	defer c.closeLedger(ledger)
	// Opening it has given back already what it found without a guest.
	for _, s := range ledger.Settled {
		if s.UUID == c.event.UUID {
			c.event.Given = s.Given
		}
	}
	given, owed, err := ledger.Release(c.event.UUID)
	c.event.Given, c.event.Owed = c.event.Given+given, owed
	c.event.Result = hook.Released
	return err
}
