// Package ledger keeps the account of the page pools: which pages were added, for which guest
// or program, and what of a pool's count is somebody else's.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"vmhuge/hostprep/lock"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// claimsDir has a file for each claim, asideDir those that can't be used.
var (
	claimsDir = append(slices.Clip(hostfs.RunDir), "claims")
	asideDir  = append(slices.Clip(hostfs.RunDir), "set-aside")
)

// ClaimsPath is the folder of the claims. It is there while there are claims.
func ClaimsPath(root hostfs.Root) string { return root.Path(claimsDir...) }

// Ledger is the open record of who added which pages. It holds the lock of all
// writers until Close.
type Ledger struct {
	root   hostfs.Root
	boot   string
	lock   *os.File
	guests *process.Guests
	// claims are all that is held. Of guests that run only the UUID and the PID
	// are known until somebody asks.
	claims []Claim
	newer  []Claim // those that are left alone; see leaveAlone
	// Settled is what was given back for guests that were gone.
	Settled []Settlement
	// Gone are those of them whose claims have ended, also where there was nothing to give back.
	Gone []Settlement
	// Reassembled are the pages that were split and are in one piece again.
	Reassembled []Demotion
	// SetAside are sentences about parts of the ledger that were dropped, files that could
	// not be used, pools that another program has set, or that are left alone: see stuck.
	SetAside []string
	writes   []*pool.Stuck // that the kernel is not done with
	counts   counts
	leaving  string // UUID of a guest that has ended
}

// Settlement is what was given back for a guest that was gone, or that runs without them.
type Settlement struct {
	UUID  string `json:"uuid"`
	Name  string `json:"name"`
	Given int64  `json:"given_bytes"`
	Runs  bool   `json:"-"`
}

func (s Settlement) String() string {
	if s.UUID == PreparedUUID {
		return fmt.Sprintf("freed %s of huge pages that vmhuge prepare had added", pages.FormatBytes(s.Given))
	}
	if s.Runs {
		return fmt.Sprintf("%s runs and does not have all pages that were added for it: freed %s of huge pages", s.Name, pages.FormatBytes(s.Given))
	}
	return fmt.Sprintf("%s is gone: freed its %s of huge pages", s.Name, pages.FormatBytes(s.Given))
}

// Notices are sentences about what was set right for others than a guest.
func (l *Ledger) Notices(except string) (all []string) {
	for _, s := range l.Settled {
		if s.UUID != except {
			all = append(all, s.String())
		}
	}
	return append(all, l.SetAside...)
}

// Open locks the ledger and gives back what claims hold whose guest or owner
// is gone.
func Open(ctx context.Context, root hostfs.Root) (*Ledger, error) { return OpenFor(ctx, root, "") }

// OpenFor is Open for the Release of a guest of which libvirt says that it has ended: whether
// it runs is not looked for among all processes, as for every other guest that is not found.
func OpenFor(ctx context.Context, root hostfs.Root, ended string) (*Ledger, error) {
	file, err := lock.Take(ctx, root)
	if err != nil {
		return nil, err
	}
	l := &Ledger{root: root, lock: file, guests: process.NewGuests(root), leaving: ended}
	if l.boot, err = root.BootID(); err == nil {
		err = l.needFiles()
	}
	if err == nil {
		err = pool.GiveBackBorrowed(root)
	}
	if err == nil {
		err = l.list()
	}
	if err == nil {
		l.readCounts()
		err = l.findRewrites()
	}
	if err == nil {
		err = l.reconcile()
	}
	if err != nil {
		l.unlock() // not all is known: the counts stay as they are
		return nil, err
	}
	return l, nil
}

// Close gives up the lock.
func (l *Ledger) Close() {
	_ = l.saveCounts() // without it the next Open can't tell what others did, as after a crash
	l.unlock()
}

// unlock gives up the lock. A ledger without claims leaves no folder.
func (l *Ledger) unlock() {
	if len(l.claims) == 0 {
		_ = os.Remove(l.root.Path(claimsDir...)) // fails, and may, if something else is in it
	}
	l.lock.Close()
}

// Settle frees what claims hold whose guest or owner is gone, as Open does, and does
// nothing else. Without claims it writes nothing.
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
	if err = l.Audit(); err == nil {
		err = l.reassemble()
	}
	return l.Settled, l.SetAside, err
}

// ReadClaims reads the ledger without the lock, for showing: each claim in the
// phase that the next Open will find it in. Files that can't be used, or are
// from before a reboot, hold nothing.
func ReadClaims(root hostfs.Root) ([]Claim, error) {
	claims, _, err := readClaims(root)
	return claims, err
}

func readClaims(root hostfs.Root) (claims, newer []Claim, err error) {
	boot, err := root.BootID()
	if err != nil {
		return nil, nil, err
	}
	l := &Ledger{root: root, boot: boot, guests: process.NewGuests(root)}
	if err := l.list(); err != nil {
		return nil, nil, err
	}
	for _, c := range slices.Clone(l.claims) {
		c, err := l.read(c)
		if errors.Is(err, errNewer) {
			l.leaveAlone(c)
		}
		if err != nil {
			continue // also when it has gone or changed its name since
		}
		c.place(root, l.guests)
		claims = append(claims, c)
	}
	return claims, l.newer, nil
}

// ReadPending reads, without the lock, what guests that are starting will yet
// take and what is reserved, but for some claims.
func ReadPending(root hostfs.Root, except ...string) ([]pool.Pending, error) {
	claims, newer, err := readClaims(root)
	return pendingOf(root, counted(claims, newer), except...), err
}

// ReadPendings is ReadPending for all guests at once: what each will yet take,
// by its UUID.
func ReadPendings(root hostfs.Root) (map[string][]pool.Pending, error) {
	claims, newer, err := readClaims(root)
	claims = counted(claims, newer)
	all := map[string][]pool.Pending{}
	for i, pending := range pendings(root, claims) {
		if len(pending) > 0 {
			all[claims[i].UUID] = pending
		}
	}
	return all, err
}

// Pending is what guests that are starting will yet take and what is reserved, but for one
// claim.
func (l *Ledger) Pending(except string) []pool.Pending {
	return pendingOf(l.root, counted(l.claims, l.newer), except)
}

func pendingOf(root hostfs.Root, claims []Claim, except ...string) (all []pool.Pending) {
	for _, pending := range pendings(root, claims, except...) {
		all = append(all, pending...)
	}
	return all
}

// Begin writes down that a guest is about to take pages, and who answers for
// its start. What was added for it before stays its own.
func (l *Ledger) Begin(c Claim) error {
	if !process.IsUUID(c.UUID) {
		return fmt.Errorf("%q is no UUID", c.UUID)
	}
	c.Phase, c.PID, c.Grants, c.Armed = Starting, 0, nil, nil
	i := l.index(c.UUID)
	if i >= 0 {
		old, err := l.load(i)
		if errors.Is(err, errUnusable) {
			return l.Begin(c)
		} else if err != nil {
			return err
		}
		c.Grants, c.Keep, c.More = old.Grants, old.Keep, old.More
	}
	return l.put(i, c)
}

// put writes a claim down in place of claim i, or, below 0, as a new one.
func (l *Ledger) put(i int, c Claim) error {
	if i < 0 {
		err := l.write(c)
		if err == nil {
			l.claims = append(l.claims, c)
		}
		return err
	}
	// Rename first: with two files, both would list the grants.
	if err := l.rename(i, c); err != nil {
		return err
	}
	return l.save(i, c)
}

// Grow adds pages for a guest that has begun, all or nothing. What is added for a program
// is prepared.
func (l *Ledger) Grow(ctx context.Context, uuid string, needs []pool.Need, effort pool.Effort) error {
	if i := l.index(uuid); uuid == PreparedUUID || i >= 0 && l.claims[i].Phase == Reserved {
		return l.Prepare(ctx, needs, effort)
	}
	return l.grow(ctx, uuid, needs, effort)
}

func (l *Ledger) grow(ctx context.Context, uuid string, needs []pool.Need, effort pool.Effort) (err error) {
	for range movedTries {
		if err = l.findRewrites(); err != nil {
			break
		}
		if err = l.growOnce(ctx, uuid, needs, effort); !errors.Is(err, pool.ErrMoved) {
			break
		}
	}
	return err
}

func (l *Ledger) growOnce(ctx context.Context, uuid string, needs []pool.Need, effort pool.Effort) error {
	i := l.index(uuid)
	if i < 0 {
		return fmt.Errorf("no claim of %s to grow", uuid)
	}
	for _, need := range needs {
		if stuck := l.stuck(need.Size); stuck != nil {
			return &pool.Short{Need: need, Stuck: stuck}
		}
		if err := l.disarm(need.Size); err != nil {
			return pool.AsShort(err, need)
		}
	}
	c := l.claims[i]
	held := c.Grants
	return pool.Grow(ctx, l.root, needs, effort, func(grants []pool.Grant) error {
		c.Grants = append(slices.Clip(held), grants...)
		return l.saveChange(i, c)
	})
}

// Started writes down that the guest runs and has its pages: the kernel counts
// them now. Of a guest that has already ended everything is given back, and
// Settled says so.
func (l *Ledger) Started(uuid string) error {
	i := l.index(uuid)
	if i < 0 || l.claims[i].Phase != Starting || l.claims[i].Resize != nil {
		return nil
	}
	c := l.claims[i]
	pid, held := l.guests.Find(c.guest())
	if held {
		return nil // it may run: the claim stays, and the next run looks again
	}
	if c.PID = pid; c.PID == 0 {
		given, _, err := l.Release(uuid)
		if given > 0 {
			l.Settled = append(l.Settled, Settlement{UUID: uuid, Name: c.Name, Given: given})
		}
		return err
	}
	if c.reservesGrowth() {
		return l.count(i, c) // it stays starting, for all others to see these
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

// Unread are the processes, by pid, that may be guests and keep their memory map locked, so
// that they could not be asked. What is claimed for a guest that one of them may be stays.
func (l *Ledger) Unread() []int {
	return l.guests.Unread()
}

func (l *Ledger) index(uuid string) int {
	return slices.IndexFunc(l.claims, func(c Claim) bool { return c.UUID == uuid })
}
