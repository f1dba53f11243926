// Package lease holds huge pages for a process of vmhuge's own, one that libvirt
// knows nothing of: QEMU under exec, the buffers of bench. A claim of the ledger
// says whose they are, so that the next run of anything gives them back should
// both vmhuge and that process be killed.
package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/hold"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/advice"
)

// Lease is the pages of one process. Only root can take one.
type Lease struct {
	Host  host.Host
	Claim ledger.Claim // its UUID, its name, and what it takes; the owner is this process
	Open  func(ctx context.Context) (*ledger.Ledger, error)
	// Close closes the ledger, and tells the user what it has set right for others.
	Close func(book *ledger.Ledger, uuid string)
	// Progress begins to show what takes long, until clear is called.
	Progress func(name string) (report func(step string, done, all int64), clear func())

	given int64 // bytes that went back before GiveBack was called
}

// NewUUID makes a random UUID (RFC 9562, version 4).
func NewUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// ErrTaken is that a process with the lease's UUID runs already: the ledger
// knows whose pages are whose by it.
var ErrTaken = errors.New("a process with this UUID runs already")

// Hold gets the pages that a guest lacks, all or nothing, and returns what it
// changed in the pools. The ledger is locked until then has run: nobody else takes
// the pages that it maps. then may be nil.
func (l *Lease) Hold(ctx context.Context, guest hostprep.Guest, then func() error) ([]change.Change, error) {
	owner, err := process.Find(l.Host.Root, os.Getpid())
	if err != nil {
		return nil, err
	}
	l.Claim.Owner = owner
	var changed []change.Change
	err = l.locked(ctx, func(book *ledger.Ledger) (err error) {
		if err := l.unique(); err != nil {
			return err
		}
		changed, err = l.hold(ctx, book, guest)
		if err != nil || then == nil {
			return err
		}
		return then()
	})
	return changed, err
}

func (l *Lease) unique() error {
	claims, err := ledger.ReadClaims(l.Host.Root)
	if err != nil {
		return err
	}
	running, err := process.FindGuests(l.Host.Root)
	if err != nil {
		return err
	}
	_, taken := running[l.Claim.UUID]
	claimed := slices.ContainsFunc(claims, func(c ledger.Claim) bool { return c.UUID == l.Claim.UUID && c.Phase != ledger.Owed })
	if taken || claimed {
		return ErrTaken
	}
	return nil
}

func (l *Lease) hold(ctx context.Context, book *ledger.Ledger, guest hostprep.Guest) ([]change.Change, error) {
	report, clear := l.Progress(l.Claim.Name)
	defer clear()
	changed, refusal, err := hold.Pages(ctx, l.Host, book, l.Claim, guest, hold.Options{Effort: pool.Effort{Progress: report}})
	switch {
	case errors.Is(err, context.Canceled):
		return changed, advice.New("getting huge pages for "+l.Claim.Name, "interrupted", "the pages were freed")
	case err == nil && refusal != nil:
		return changed, &advice.Error{What: "getting huge pages for " + l.Claim.Name, Why: refusal.Have, Do: refusal.Do, Kind: advice.NoMemory}
	}
	return changed, err
}

// Started records that the process has its pages: the kernel counts them as used
// from now on. Of a process that has ended meanwhile they go back.
func (l *Lease) Started(ctx context.Context) error {
	return l.locked(ctx, func(book *ledger.Ledger) error { return book.Started(l.Claim.UUID) })
}

// freed is how long the kernel may take to get the pages out of a process that
// is gone.
const freed = 2 * time.Second

// GiveBack returns the pages of a process that has ended, and how many bytes went
// back in all. What somebody else uses by now is owed: a later run returns it.
func (l *Lease) GiveBack() (given, owed int64, err error) {
	for deadline := time.Now().Add(freed); ; time.Sleep(20 * time.Millisecond) {
		err = l.locked(context.Background(), func(book *ledger.Ledger) error {
			report, clear := l.Progress(l.Claim.Name)
			defer clear()
			report("freeing its pages", 0, 0)
			released, left, err := book.Release(l.Claim.UUID)
			l.given += released
			owed = left
			return err
		})
		if err != nil || owed == 0 || time.Now().After(deadline) {
			given, l.given = l.given, 0
			return given, owed, err
		}
	}
}

// locked opens the ledger for a while. It adds up what goes back for this lease
// however that comes about: whoever opens the ledger first after the process has
// ended settles the claim.
func (l *Lease) locked(ctx context.Context, do func(*ledger.Ledger) error) error {
	book, err := l.Open(ctx)
	if err != nil {
		return err
	}
	defer l.Close(book, l.Claim.UUID)
	err = do(book)
	for _, s := range book.Settled {
		if s.UUID == l.Claim.UUID {
			l.given += s.Given
		}
	}
	return err
}
