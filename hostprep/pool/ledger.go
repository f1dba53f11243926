package pool

import (
	"cmp"
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

// runDir holds the lock and the ledger, a file for each claim. It is lost at
// reboot, as the pages are.
var (
	runDir    = []string{"run", "vmhuge"}
	claimsDir = []string{"run", "vmhuge", "claims"}
	asideDir  = []string{"run", "vmhuge", "set-aside"}
)

// Ledger is the open record of who added which pages. It holds the lock of all
// writers until Close.
type Ledger struct {
	root   hostfs.Root
	boot   string
	lock   *os.File
	guests *guests
	// claims are all that is held. Of guests that run only the UUID and the PID
	// are known until somebody asks.
	claims []Claim
	// Settled is what was given back for guests that were gone.
	Settled []Settlement
	// SetAside are sentences about files that could not be used.
	SetAside []string
}

// Settlement is what was given back for a guest that was gone.
type Settlement struct {
	UUID  string `json:"uuid"`
	Name  string `json:"name"`
	Given int64  `json:"given_bytes"`
}

func (s Settlement) String() string {
	return fmt.Sprintf("%s is gone: gave back its %s of huge pages", s.Name, pages.FormatBytes(s.Given))
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
	l := &Ledger{root: root, lock: lock, guests: &guests{root: root}}
	if l.boot, err = bootID(root); err == nil {
		err = giveBackBorrowed(root)
	}
	if err == nil {
		if err = l.list(); err == nil {
			err = l.reconcile()
		}
	}
	if err != nil {
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

// Close gives up the lock. A ledger without claims leaves no folder.
func (l *Ledger) Close() {
	if len(l.claims) == 0 {
		_ = os.Remove(l.root.Path(claimsDir...)) // stays where something else is in it
	}
	l.lock.Close()
}

// Settle gives back what claims hold whose guest or owner is gone, as Open does,
// for who has nothing else to do. Where no claims are, it writes nothing.
func Settle(ctx context.Context, root hostfs.Root) (settled []Settlement, setAside []string, err error) {
	entries, err := os.ReadDir(root.Path(claimsDir...))
	if len(entries) == 0 {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return nil, nil, err
	}
	l, err := Open(ctx, root)
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	err = l.Audit()
	return l.Settled, l.SetAside, err
}

// ReadClaims reads the ledger without the lock, for showing: each claim in the
// phase that the next Open will find it in. Files that can't be used, or are
// from before a reboot, hold nothing.
func ReadClaims(root hostfs.Root) ([]Claim, error) {
	boot, err := bootID(root)
	if err != nil {
		return nil, err
	}
	l := &Ledger{root: root, boot: boot, guests: &guests{root: root}}
	if err := l.list(); err != nil {
		return nil, err
	}
	var claims []Claim
	for _, c := range l.claims {
		if c, err = l.read(c); err != nil {
			continue // also when it has gone or changed its name since
		}
		c.place(root, l.guests)
		claims = append(claims, c)
	}
	return claims, nil
}

// ReadPending reads, without the lock, what guests that are starting will yet
// take, but for one guest.
func ReadPending(root hostfs.Root, except string) ([]Pending, error) {
	claims, err := ReadClaims(root)
	return pendingOf(root, claims, except), err
}

// Pending is what guests that are starting will yet take, but for one guest.
func (l *Ledger) Pending(except string) []Pending { return pendingOf(l.root, l.claims, except) }

func pendingOf(root hostfs.Root, claims []Claim, except string) []Pending {
	var pending []Pending
	for _, c := range claims {
		if c.Phase == Starting && c.UUID != except {
			pending = append(pending, c.pending(root)...)
		}
	}
	return pending
}

// Begin writes down that a guest is about to take pages, and who answers for
// its start. What was added for it before stays its own.
func (l *Ledger) Begin(c Claim) error {
	if !isUUID(c.UUID) {
		return fmt.Errorf("%q is no UUID", c.UUID)
	}
	c.Phase, c.PID, c.Grants, c.Armed = Starting, 0, nil, nil
	i := l.index(c.UUID)
	if i < 0 {
		if err := l.write(c); err != nil {
			return err
		}
		l.claims = append(l.claims, c)
		return nil
	}
	old, err := l.load(i)
	if errors.Is(err, errUnusable) {
		return l.Begin(c)
	}
	if err != nil {
		return err
	}
	c.Grants = old.Grants
	// The name first: were there two files, both would name the grants.
	if err := l.rename(i, c); err != nil {
		return err
	}
	return l.save(i, c)
}

// Grow adds pages for a guest that has begun, all or nothing.
func (l *Ledger) Grow(ctx context.Context, uuid string, needs []Need, effort Effort) error {
	i := l.index(uuid)
	if i < 0 {
		return fmt.Errorf("no claim of %s to grow", uuid)
	}
	for _, need := range needs {
		if err := l.disarm(need.Size); err != nil {
			return err
		}
	}
	c := l.claims[i]
	held := c.Grants
	return grow(ctx, l.root, needs, effort, func(grants []Grant) error {
		c.Grants = append(slices.Clip(held), grants...)
		return l.save(i, c)
	})
}

// Started writes down that the guest runs and has its pages: the kernel counts
// them now. Of a guest that has already ended everything is given back.
func (l *Ledger) Started(uuid string) error {
	i := l.index(uuid)
	if i < 0 || l.claims[i].Phase != Starting {
		return nil
	}
	c := l.claims[i]
	if c.PID = l.guests.find(uuid, c.Name); c.PID == 0 {
		_, _, err := l.Release(uuid)
		return err
	}
	return l.use(i, c)
}

// use writes down that a guest runs and has its pages.
func (l *Ledger) use(i int, c Claim) error {
	if err := l.arm(i, &c); err != nil {
		return err
	}
	c.Phase = InUse
	return l.rename(i, c)
}

// Release gives back what was added for a guest, and returns how many bytes
// were given and how many must wait because somebody else uses them. A guest
// without a claim has nothing to give.
func (l *Ledger) Release(uuid string) (given, owed int64, err error) {
	i := l.index(uuid)
	if i < 0 {
		return 0, 0, nil
	}
	if given, owed, err = l.release(i); err != nil {
		return given, owed, err
	}
	// What this guest was promised may be what others owe.
	for _, c := range slices.Clone(l.claims) {
		if c.Phase == Owed && c.UUID != uuid {
			if err := l.settle(c.UUID); err != nil {
				return given, owed, err
			}
		}
	}
	return given, owed, nil
}

// release makes a claim owed, and pays what can be paid.
func (l *Ledger) release(i int) (given, owed int64, err error) {
	c, err := l.load(i)
	if errors.Is(err, errUnusable) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	c.Takes, c.Phase, c.PID = nil, Owed, 0
	if err := l.rename(i, c); err != nil {
		return 0, 0, err
	}
	for _, g := range slices.Concat(c.Grants, c.Armed) {
		given += g.Pages * int64(g.Size)
	}
	c.Armed = nil // it went with QEMU
	kept, err := release(l.root, c.Grants, l.Pending(""), func(grants []Grant) error {
		c.Grants = grants
		return l.save(i, c)
	})
	for at, g := range kept {
		given -= g.Pages * int64(g.Size)
		// What somebody else has taken out of the pool can't be owed any more.
		if p, err := readPool(l.root, g.Node, g.Size); err == nil {
			kept[at].Pages = min(g.Pages, max(0, p.Persistent()-l.held(c.UUID, g.Node, g.Size)))
		}
		owed += kept[at].Pages * int64(g.Size)
	}
	switch {
	case err != nil:
	case owed == 0:
		err = l.remove(i)
	case len(kept) > 0:
		c.Grants = kept
		err = l.save(i, c)
	}
	return given, owed, err
}

// reconcile sets right what a crash left: a starting guest whose owner is dead,
// and any claim whose guest is gone.
func (l *Ledger) reconcile() error {
	for _, c := range slices.Clone(l.claims) {
		if c.Phase == InUse && l.guests.exists(c.PID) {
			continue
		}
		if err := l.look(c.UUID); err != nil {
			return err
		}
	}
	// Last, when it is known what guests that start will yet take.
	for _, c := range slices.Clone(l.claims) {
		if c.Phase == Owed {
			if err := l.settle(c.UUID); err != nil {
				return err
			}
		}
	}
	return nil
}

// Audit looks closer than Open does: the number of a process that is gone may
// be another's by now.
func (l *Ledger) Audit() error {
	for _, c := range slices.Clone(l.claims) {
		if c.Phase != InUse || l.guests.runsAs(c.UUID, c.PID) {
			continue
		}
		if err := l.look(c.UUID); err != nil {
			return err
		}
		if i := l.index(c.UUID); i >= 0 && l.claims[i].Phase == Owed {
			if err := l.settle(c.UUID); err != nil {
				return err
			}
		}
	}
	return nil
}

// look reads a claim and writes down where it really stands.
func (l *Ledger) look(uuid string) error {
	i := l.index(uuid)
	c, err := l.load(i)
	if errors.Is(err, errUnusable) {
		return nil
	}
	if err != nil {
		return err
	}
	was := c.Phase
	if c.place(l.root, l.guests); c.Phase == InUse && was == Starting {
		return l.use(i, c)
	}
	return l.rename(i, c)
}

// load reads a claim's file. One that can't be used is out of the ledger then.
func (l *Ledger) load(i int) (Claim, error) {
	c, err := l.read(l.claims[i])
	switch {
	case errors.Is(err, errOtherBoot): // its pages went with the reboot
		return c, cmp.Or(l.remove(i), errUnusable)
	case errors.Is(err, errUnusable):
		return c, cmp.Or(l.setAside(i, err), errUnusable)
	case err != nil:
		return c, err
	}
	if l.finish(&c) {
		err = l.save(i, c)
	}
	return c, err
}

// settle gives back what a claim owes.
func (l *Ledger) settle(uuid string) error {
	i := l.index(uuid)
	s := Settlement{UUID: uuid, Name: l.claims[i].Name}
	var err error
	if s.Given, _, err = l.release(i); s.Given > 0 {
		l.Settled = append(l.Settled, s)
	}
	return err
}

// finish corrects grants that were written down before the pool was changed
// and whose writer died in between: what is really there is what the pool has
// above the count without it. The lock has kept other writers of ours away; what
// others have done since can't be told apart.
func (l *Ledger) finish(c *Claim) (changed bool) {
	for i := range c.Grants {
		g := &c.Grants[i]
		if g.Without == nil {
			continue
		}
		if p, err := readPool(l.root, g.Node, g.Size); err == nil {
			g.Pages, g.Without = min(g.Pages, max(0, p.Persistent()-*g.Without)), nil
			changed = true
		}
	}
	c.Grants = slices.DeleteFunc(c.Grants, func(g Grant) bool { return g.Pages == 0 })
	return changed
}

func (l *Ledger) index(uuid string) int {
	return slices.IndexFunc(l.claims, func(c Claim) bool { return c.UUID == uuid })
}

// errUnusable is the error of a file that can't be used, errOtherBoot that of
// one from before a reboot.
var (
	errUnusable  = errors.New("it can't be used")
	errOtherBoot = errors.New("it is from before a reboot")
)

// list finds the claims' files.
func (l *Ledger) list() error {
	entries, err := os.ReadDir(l.root.Path(claimsDir...))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") { // being written, or left so by a crash
			if l.lock != nil {
				_ = os.Remove(l.path(e.Name()))
			}
			continue
		}
		c, err := parseFileName(e.Name())
		if i := l.index(c.UUID); err == nil && i >= 0 {
			err = fmt.Errorf("there is %s too", l.claims[i].fileName())
		}
		if err == nil {
			l.claims = append(l.claims, c)
		} else if l.lock != nil {
			if err := l.moveAside(e.Name(), err); err != nil {
				return err
			}
		}
	}
	return err
}

// read reads the file of a claim that is known by its name.
func (l *Ledger) read(c Claim) (Claim, error) {
	text, err := os.ReadFile(l.path(c.fileName()))
	if err != nil {
		return c, err
	}
	parsed, err := parseClaim(text)
	if err == nil && parsed.UUID != c.UUID {
		err = fmt.Errorf("it names the guest %.40q", parsed.UUID)
	}
	if err != nil {
		return c, fmt.Errorf("%w: %w", errUnusable, err)
	}
	if parsed.BootID != l.boot {
		return c, errOtherBoot
	}
	parsed.Phase, parsed.PID = c.Phase, c.PID
	return parsed.Claim, nil
}

// save writes a claim that the ledger has, under its present name.
func (l *Ledger) save(i int, c Claim) error {
	c.Phase, c.PID = l.claims[i].Phase, l.claims[i].PID
	if err := l.write(c); err != nil {
		return err
	}
	l.claims[i] = c
	return nil
}

func (l *Ledger) write(c Claim) error {
	text, err := json.Marshal(claimText{claimVersion, l.boot, c})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(l.root.Path(claimsDir...), 0o755); err != nil {
		return err
	}
	return l.root.Replace(text, 0o644, append(slices.Clip(claimsDir), c.fileName())...)
}

// rename gives a claim's file the name that its phase asks for.
func (l *Ledger) rename(i int, c Claim) error {
	if from, to := l.claims[i].fileName(), c.fileName(); from != to {
		if err := os.Rename(l.path(from), l.path(to)); err != nil {
			return err
		}
	}
	l.claims[i] = c
	return nil
}

func (l *Ledger) remove(i int) error {
	err := os.Remove(l.path(l.claims[i].fileName()))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		l.claims = slices.Delete(l.claims, i, i+1)
		return nil
	}
	return err
}

// setAside takes a file that can't be used out of the ledger. What the guest
// uses the kernel counts; what was added for it nobody knows any more.
func (l *Ledger) setAside(i int, why error) error {
	name := l.claims[i].fileName()
	l.claims = slices.Delete(l.claims, i, i+1)
	return l.moveAside(name, why)
}

func (l *Ledger) moveAside(name string, why error) error {
	if err := os.MkdirAll(l.root.Path(asideDir...), 0o755); err != nil {
		return err
	}
	aside := l.root.Path(append(slices.Clip(asideDir), name)...)
	if err := os.Rename(l.path(name), aside); err != nil {
		return err
	}
	l.SetAside = append(l.SetAside, fmt.Sprintf(
		"a claim of the ledger is set aside as %s (%v): pages that were added for that guest stay in the pools", aside, why))
	return nil
}

func (l *Ledger) path(name string) string {
	return l.root.Path(append(slices.Clip(claimsDir), name)...)
}

func bootID(root hostfs.Root) (string, error) {
	text, err := root.Read("proc", "sys", "kernel", "random", "boot_id")
	return strings.TrimSpace(text), err
}

// held says what other claims have added to a pool.
func (l *Ledger) held(except string, node int, size pages.Size) (held int64) {
	for _, c := range l.claims {
		if c.UUID == except {
			continue
		}
		if c, err := l.read(c); err == nil {
			for _, g := range c.Grants {
				if g.Node == node && g.Size == size {
					held += g.Pages
				}
			}
		}
	}
	return held
}
