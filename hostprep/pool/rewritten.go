package pool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"vmhuge/internal/pages"
)

// Other programs change a pool at any time. One that takes back pages which it had
// added itself leaves vmhuge's alone: pools are counted by amount. But sysctl
// --system, or a restart of systemd-sysctl, sets a number that says nothing of what
// vmhuge has added. So the ledger notes the counts that it left: a pool that since has
// the number in sysctl's files was set by them, and all of it is what they ask for.

// count is the persistent count of a pool that the ledger left.
type count struct {
	Node       int        `json:"node"`
	Size       pages.Size `json:"page_size_kib"`
	Persistent int64      `json:"persistent"`
}

// counts are those of all pools to which claims have added. Whoever writes a pool
// removes the file first: after a crash nothing is known.
type counts struct {
	BootID string  `json:"boot_id"`
	Pools  []count `json:"pools"`
}

var countsFile = append(slices.Clip(runDir), "counts.json")

// Rewrite is a pool that another program has set.
type Rewrite struct {
	Node    int
	Size    pages.Size
	Was, Is int64 // persistent counts
	Lost    int64 // pages that vmhuge had added and no longer counts as its own
	Sysctl  string
}

func (r Rewrite) String() string {
	by := "a program other than vmhuge"
	if r.Sysctl != "" {
		by = "sysctl, as " + r.Sysctl + " asks,"
	}
	return fmt.Sprintf("%s has set the pages of %s on node %d from %d to %d: %d that vmhuge had added no longer count as its own",
		by, r.Size, r.Node, r.Was, r.Is, r.Lost)
}

// touch notes that claims have added to pools which must be counted at the end.
func (l *Ledger) touch(grants []Grant) {
	for _, g := range grants {
		if !slices.ContainsFunc(l.counted, func(c count) bool { return c.Node == g.Node && c.Size == g.Size }) {
			l.counted = append(l.counted, count{Node: g.Node, Size: g.Size})
		}
		l.touched = true
	}
}

// saveCounts notes what the pools have, for the next Open.
func (l *Ledger) saveCounts() error {
	if len(l.claims) == 0 && len(l.counted) > 0 {
		return removeIfThere(l.root.Path(countsFile...))
	}
	if !l.touched {
		return nil
	}
	for i, c := range l.counted {
		p, err := readPool(l.root, c.Node, c.Size)
		if err != nil {
			return err
		}
		l.counted[i].Persistent = p.Persistent()
	}
	text, err := json.Marshal(counts{l.boot, l.counted})
	if err != nil {
		return err
	}
	return l.root.Replace(text, 0o644, countsFile...)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// findRewrites finds the pools that were set by another program since the ledger was
// closed, and takes out of the claims what such a program may count as its own.
func (l *Ledger) findRewrites() error {
	text, err := l.root.Read(countsFile...)
	if err != nil {
		return nil // not there: nothing is known
	}
	var known counts
	if json.Unmarshal([]byte(text), &known) != nil || known.BootID != l.boot {
		return removeIfThere(l.root.Path(countsFile...))
	}
	l.counted = known.Pools
	for _, c := range known.Pools {
		p, err := readPool(l.root, c.Node, c.Size)
		if err == nil && p.Persistent() != c.Persistent {
			err = l.rewritten(Rewrite{Node: c.Node, Size: c.Size, Was: c.Persistent, Is: p.Persistent()})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rewritten takes what was lost in a pool out of the claims. Where the count is the
// one that sysctl's files ask for, all of it is what the administrator wants, with or
// without vmhuge; otherwise it is what the pool now has too little of.
func (l *Ledger) rewritten(r Rewrite) error {
	lost := max(0, l.addedTo(r.Node, r.Size)-r.Is)
	if r.Sysctl = sysctlHasSet(l.root, r.Size); r.Sysctl != "" {
		lost = max(r.Was, r.Is)
	}
	for _, phase := range []Phase{Owed, InUse, Starting, Prepared} {
		if phase == Prepared && r.Sysctl == ourSysctlFile {
			break // the number in it has them
		}
		for i := range l.claims {
			if l.claims[i].Phase != phase {
				continue
			}
			took, err := l.lose(i, r.Node, r.Size, lost)
			if err != nil {
				return err
			}
			lost -= took
			r.Lost += took
		}
	}
	l.touched = true
	if r.Lost > 0 {
		l.SetAside = append(l.SetAside, r.String())
	}
	return nil
}

// addedTo is how many pages all claims have added to a pool.
func (l *Ledger) addedTo(node int, size pages.Size) (n int64) {
	for _, named := range l.claims {
		c, err := l.read(named)
		if err != nil {
			continue // a claim that can't be read is handled by load
		}
		for _, g := range c.Grants {
			if g.Node == node && g.Size == size {
				n += g.Pages
			}
		}
	}
	return n
}

// lose takes up to so many pages of a pool out of a claim.
func (l *Ledger) lose(i, node int, size pages.Size, most int64) (took int64, err error) {
	c, err := l.read(l.claims[i])
	if err != nil || most == 0 {
		return 0, nil // a claim that can't be read is handled by load
	}
	for at := range c.Grants {
		if g := &c.Grants[at]; g.Node == node && g.Size == size {
			n := min(g.Pages, most-took)
			g.Pages -= n
			took += n
		}
	}
	if took == 0 {
		return 0, nil
	}
	c.Grants = slices.DeleteFunc(c.Grants, func(g Grant) bool { return g.Pages == 0 })
	return took, l.save(i, c)
}
