package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"vmhuge/internal/advice"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// runDir holds the ledger and the lock. It is lost at reboot, as the pages are.
var runDir = []string{"run", "vmhuge"}

// Phase is where a claim stands.
type Phase string

// The phases of a claim.
const (
	Pending Phase = "pending" // pages are being got, or wait for the guest to start
	InUse   Phase = "in-use"  // the guest runs
	Owed    Phase = "owed"    // the guest is gone; the pages wait for somebody else to let go of them
)

// Claim is what one guest holds.
type Claim struct {
	UUID  string  `json:"uuid"`
	Name  string  `json:"name"`
	Phase Phase   `json:"phase"`
	Owner Process `json:"owner"` // who answers for a pending claim
	// Totals is what the guest takes when it starts, whoever added the pages.
	Totals []pages.Total `json:"totals"`
	// Grants is what was added to the pools for it, and goes when it goes.
	Grants []Grant `json:"grants"`
}

// ledgerVersion is the version of the file's shape.
const ledgerVersion = 1

type ledgerFile struct {
	Version int     `json:"version"`
	BootID  string  `json:"boot_id"`
	Claims  []Claim `json:"claims"`
}

// Ledger is the open record of who added which pages. It holds the lock of all
// writers until Close.
type Ledger struct {
	root hostfs.Root
	lock *os.File
	file ledgerFile
	// Settled is what Open gave back for guests that were gone.
	Settled []Settlement
	// SetAside says why the ledger on disk could not be used, and where it is.
	SetAside string
}

// Settlement is what was given back for a guest that was gone, in bytes.
type Settlement struct {
	UUID, Name string
	Given      int64
}

// Open locks the ledger and gives back what claims hold whose guest or owner
// is gone.
func Open(ctx context.Context, root hostfs.Root) (*Ledger, error) {
	if err := os.MkdirAll(root.Path(runDir...), 0o755); err != nil {
		return nil, openError(err)
	}
	lock, err := lock(ctx, root)
	if err != nil {
		return nil, openError(err)
	}
	l := &Ledger{root: root, lock: lock}
	if err := l.load(); err != nil {
		l.Close()
		return nil, err
	}
	if err := l.reconcile(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func openError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return advice.Wrap(err, "changing the page pools", "run vmhuge as root")
	}
	return err
}

// Close gives up the lock.
func (l *Ledger) Close() { l.lock.Close() }

// Claims returns what is held now.
func (l *Ledger) Claims() []Claim { return l.file.Claims }

// ReadClaims reads the ledger without the lock, for showing: each claim in the
// phase that the next Open will find it in. A missing or unreadable ledger, or
// one from before a reboot, holds nothing.
func ReadClaims(root hostfs.Root) ([]Claim, error) {
	l := &Ledger{root: root}
	file, err := l.read()
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errSetAside):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if boot, err := bootID(root); err != nil || file.BootID != boot {
		return nil, err
	}
	guests, err := FindGuests(root)
	if err != nil {
		return nil, err
	}
	for i, claim := range file.Claims {
		file.Claims[i].Phase = claim.now(root, guests)
	}
	return file.Claims, nil
}

// now says where a claim really stands: a crash leaves one pending whose owner
// is dead, or in use by a guest that is gone.
func (c Claim) now(root hostfs.Root, guests map[string]Process) Phase {
	_, runs := guests[c.UUID]
	switch {
	case c.Phase == Pending && c.Owner.Alive(root):
		return Pending
	case c.Phase != Owed && runs:
		return InUse
	}
	return Owed
}

// Claimed returns what pending claims of others will yet take from the pools
// of each size: pages that look free and are not.
func Claimed(claims []Claim, except string) map[pages.Size]int64 {
	claimed := map[pages.Size]int64{}
	for _, c := range claims {
		if c.Phase == Pending && c.UUID != except {
			for _, total := range c.Totals {
				claimed[total.PageSize] += total.Pages
			}
		}
	}
	return claimed
}

// Begin writes down that a guest is about to take pages.
func (l *Ledger) Begin(uuid, name string, totals []pages.Total) error {
	owner, err := FindProcess(l.root, os.Getpid())
	if err != nil {
		return err
	}
	claim := Claim{UUID: uuid, Name: name, Phase: Pending, Owner: owner, Totals: totals}
	if old := l.find(uuid); old != nil {
		claim.Grants = old.Grants
		*old = claim
	} else {
		l.file.Claims = append(l.file.Claims, claim)
	}
	return l.save()
}

// Grow adds pages for a guest that has begun, all or nothing.
func (l *Ledger) Grow(ctx context.Context, uuid string, needs []Need, effort Effort) error {
	claim := l.find(uuid)
	if claim == nil {
		return fmt.Errorf("no claim of %s to grow", uuid)
	}
	held := claim.Grants
	return grow(ctx, l.root, needs, effort, func(grants []Grant) error {
		claim.Grants = append(slices.Clip(held), grants...)
		return l.save()
	})
}

// Started writes down that the guest runs: its pages are in use now, and the
// kernel counts them.
func (l *Ledger) Started(uuid string) error {
	if claim := l.find(uuid); claim != nil {
		claim.Phase = InUse
		return l.save()
	}
	return nil
}

// Release gives back what was added for a guest, and returns what was given
// and what must wait because somebody else uses it. A guest without a claim
// has nothing to give.
func (l *Ledger) Release(uuid string) (given, owed int64, err error) {
	i := slices.IndexFunc(l.file.Claims, func(c Claim) bool { return c.UUID == uuid })
	if i < 0 {
		return 0, 0, nil
	}
	claim := &l.file.Claims[i]
	var kept []Grant
	for _, grant := range claim.Grants {
		left := shrink(l.root, grant)
		given += (grant.Pages - left) * int64(grant.Size)
		owed += left * int64(grant.Size)
		if left > 0 {
			grant.Pages = left
			kept = append(kept, grant)
		}
	}
	claim.Grants, claim.Phase, claim.Totals = kept, Owed, nil
	if len(kept) == 0 {
		l.file.Claims = slices.Delete(l.file.Claims, i, i+1)
	}
	return given, owed, l.save()
}

// reconcile sets right what a crash left: a pending claim whose owner is dead,
// and any claim whose guest is gone.
func (l *Ledger) reconcile() error {
	if len(l.file.Claims) == 0 {
		return nil
	}
	guests, err := FindGuests(l.root)
	if err != nil {
		return err
	}
	for _, claim := range slices.Clone(l.file.Claims) {
		l.settle(claim.UUID)
		switch now := claim.now(l.root, guests); {
		case now == Owed:
			settled := Settlement{UUID: claim.UUID, Name: claim.Name}
			settled.Given, _, err = l.Release(claim.UUID)
			l.Settled = append(l.Settled, settled)
		case now == InUse && now != claim.Phase:
			err = l.Started(claim.UUID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settle corrects grants that were written down before the pool was changed
// and whose writer died in between: what was really added is what the pool has
// above the count it had before. The lock has kept other writers of ours away.
func (l *Ledger) settle(uuid string) {
	claim := l.find(uuid)
	for i := range claim.Grants {
		g := &claim.Grants[i]
		if g.Before == nil {
			continue
		}
		if p, err := readPool(l.root, g.Node, g.Size); err == nil {
			g.Pages, g.Before = min(g.Pages, max(0, p.Persistent()-*g.Before)), nil
		}
	}
}

func (l *Ledger) find(uuid string) *Claim {
	i := slices.IndexFunc(l.file.Claims, func(c Claim) bool { return c.UUID == uuid })
	if i < 0 {
		return nil
	}
	return &l.file.Claims[i]
}

// errSetAside is the error of a ledger that can't be used.
var errSetAside = errors.New("unusable ledger")

// load reads the ledger. One that can't be used is set aside, never deleted.
func (l *Ledger) load() error {
	boot, err := bootID(l.root)
	if err != nil {
		return err
	}
	fresh := ledgerFile{Version: ledgerVersion, BootID: boot}
	l.file, err = l.read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.file = fresh
	case errors.Is(err, errSetAside):
		aside := l.root.Path(append(slices.Clip(runDir), "ledger.set-aside")...)
		if rerr := os.Rename(l.path(), aside); rerr != nil {
			return rerr
		}
		l.SetAside = fmt.Sprintf("the ledger could not be used (%v): set aside as %s", err, aside)
		l.file = fresh
	case err != nil:
		return err
	case l.file.BootID != fresh.BootID:
		l.file = fresh // its pages went with the reboot
	}
	return nil
}

func bootID(root hostfs.Root) (string, error) {
	text, err := root.Read("proc", "sys", "kernel", "random", "boot_id")
	return strings.TrimSpace(text), err
}

func (l *Ledger) read() (ledgerFile, error) {
	text, err := os.ReadFile(l.path())
	if err != nil {
		return ledgerFile{}, err
	}
	return parseLedger(text)
}

func parseLedger(text []byte) (ledgerFile, error) {
	var file ledgerFile
	// The version first: of another one nothing else is known.
	err := json.Unmarshal(text, &struct{ Version *int }{&file.Version})
	if err == nil && file.Version != ledgerVersion {
		err = fmt.Errorf("version %d", file.Version)
	}
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil {
		return ledgerFile{}, fmt.Errorf("%w: %w", errSetAside, err)
	}
	return file, nil
}

// save writes the ledger; one without claims leaves no file.
func (l *Ledger) save() error {
	if len(l.file.Claims) == 0 {
		if err := os.Remove(l.path()); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := json.Marshal(l.file)
	if err != nil {
		return err
	}
	return l.root.Replace(text, 0o644, append(slices.Clip(runDir), "ledger.json")...)
}

func (l *Ledger) path() string { return l.root.Path(append(slices.Clip(runDir), "ledger.json")...) }
