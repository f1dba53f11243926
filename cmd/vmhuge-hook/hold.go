package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"vmhuge/hostprep"
	"vmhuge/hostprep/capacity"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/hold"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/advice"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

const (
	lockDeadline = 30 * time.Second // libvirtd waits for us
	holdDeadline = 2 * time.Minute  // the kernel makes 40 GiB of pages in a second
)

// holdTime is how long we try to get a guest's pages: for those of 1 GiB the kernel may
// have to move as much other memory.
func holdTime(d pages.Demand) time.Duration {
	limit := holdDeadline
	for _, total := range d.Totals() {
		if total.PageSize == pages.Size1GiB {
			limit += capacity.Longest(total.Pages)
		}
	}
	return limit
}

// hold gets the pages that a guest lacks, for a claim of its own, which holds
// as long as libvirtd lives; the guest must start within a time.
//
// A refusal says that the guest would start without its pages, in vain. Any
// other error is of our own making, and the pages are there all the same.
func (c *call) hold(guest hostprep.Guest, start time.Duration) error {
	settings, err := hook.ReadSettings(c.host)
	c.note(err)
	c.note(c.host.Root.LibvirtErr())
	finding, err := c.claim(guest, start, settings.HostReserveKiB)
	if finding != nil {
		return &refusal{finding.Have, finding.Do, hook.ReasonOf(finding.Short)}
	}
	if err == nil {
		return nil
	}
	// Without the ledger: is there enough beside what others are promised?
	guest.Pending, _ = ledger.ReadPending(c.host.Root, guest.Demand.UUID)
	if short := check.ShortageNow(c.host, guest); short != nil {
		why, do := cause(err)
		return &refusal{fmt.Sprintf("%s, %s are needed, and none can be added: %s", short.Have, short.Need, why), do, hook.NotTried}
	}
	return err
}

// claim begins a claim and gets its pages; with a finding the host can't.
func (c *call) claim(guest hostprep.Guest, start time.Duration, reserveKiB int64) (refused *hostprep.Finding, err error) {
	// libvirtd calls us for the start, and tells us if it comes to nothing.
	owner, err := libvirtd.Above(c.host, c.parent)
	if err != nil {
		return nil, err
	}
	book, err := c.openLedger("")
	if err != nil {
		return nil, err
	}
	defer c.closeLedger(book)
	claim := hostprep.NewClaim(guest.Demand, guest.Demand.UUID, guest.Demand.Domain)
	claim.Owner, claim.Until = owner, ledger.In(start)
	ctx, stop := within(holdTime(guest.Demand))
	defer stop()
	changed, refused, err := hold.Pages(ctx, c.host, book, claim, guest, hold.Options{Reserve: reserveKiB * 1024})
	c.event.Changed = append(c.event.Changed, changed...)
	return refused, err
}

// openLedger opens it, for the release of a guest that has ended if one is named.
func (c *call) openLedger(ended string) (*ledger.Ledger, error) {
	ctx, stop := within(c.wait)
	defer stop()
	return ledger.OpenFor(ctx, c.host.Root, ended)
}

// closeLedger keeps for the log what of the ledger counts no more, and what could not be read.
// Guests that ended just now may have been found before the hook is called for them, which then
// has nothing left to do or to log.
func (c *call) closeLedger(book *ledger.Ledger) {
	for _, gone := range book.Gone {
		if gone.UUID != c.event.UUID {
			_ = hook.Log(c.host, hook.Event{Time: hookTime(), Operation: "release", Name: gone.Name, UUID: gone.UUID, Result: hook.Released, Given: gone.Given})
		}
	}
	if len(book.SetAside) > 0 {
		c.note(errors.New(strings.Join(book.SetAside, "; ")))
	}
	for _, pid := range book.Unread() {
		c.note(fmt.Errorf("process %d may be a guest, but its command line could not be read: %w", pid, hostfs.ErrHeld))
	}
	book.Close()
}

// cause says why the ledger could not be used, and what to do about it.
func cause(err error) (why, do string) {
	told := (*advice.Error)(nil)
	switch {
	case errors.As(err, &told):
		return told.What + ": " + told.Why, told.Do
	case errors.Is(err, syscall.ENOSPC):
		return err.Error(), "make room in /run"
	case errors.Is(err, context.DeadlineExceeded):
		return "the kernel did not allocate them in time", "reserve the pages at boot when memory is not fragmented"
	}
	return err.Error(), "vmhuge status shows what is held"
}
