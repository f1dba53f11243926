package ledger

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// count is what the ledger expects of a pool: the persistent count that it left, and
// what of it is not vmhuge's.
type count struct {
	Node       int        `json:"node"`
	Size       pages.Size `json:"page_size_kib"`
	Persistent int64      `json:"persistent"`
	// Others is the count without the grants of all claims. It changes only when others
	// set the pool, so that after a crash, when Persistent is of before, it still holds.
	Others int64 `json:"others"`
}

// countsText is the file of the counts of all pools of the sizes that claims have added.
type countsText struct {
	Version int    `json:"version"`
	BootID  string `json:"boot_id"`
	// Changing says that grants are being changed: after a crash Persistent may be of before.
	Changing bool    `json:"changing,omitempty"`
	Pools    []count `json:"pools"`
}

// countsVersion is the version of the file's shape. An older vmhuge reads no version, and
// removes the file before it writes a pool: nothing is known then.
const countsVersion = 2

var countsFile = append(slices.Clip(hostfs.RunDir), "counts.json")

// counts are those of an open ledger.
type counts struct {
	pools      []count
	changing   bool            // the file says so
	crashed    bool            // it said so when the ledger was opened
	changed    bool            // the file must be written at the end
	stale      bool            // and before a grant is
	unfinished map[string]bool // claims with grants that are being changed
}

func (c *counts) of(node int, size pages.Size) *count {
	i := slices.IndexFunc(c.pools, func(c count) bool { return c.Node == node && c.Size == size })
	if i < 0 {
		return nil
	}
	return &c.pools[i]
}

// readCounts reads what is known of the pools. A file of another boot, or that can't be
// used, says nothing. Where a writer died, the claims tell which of them it was changing.
func (l *Ledger) readCounts() {
	text, err := l.root.Read(countsFile...)
	var known countsText
	if err == nil && json.Unmarshal([]byte(text), &known) == nil && known.Version == countsVersion && known.BootID == l.boot {
		l.counts.pools, l.counts.changing, l.counts.crashed = known.Pools, known.Changing, known.Changing
	}
	if !l.counts.crashed {
		if len(l.SetAside) > len(l.newer) { // a claim that has another's name
			l.disown()
		}
		return
	}
	for _, c := range l.claims {
		if c, err := l.read(c); err == nil {
			l.counts.note(c)
		}
	}
}

// note notes whether a claim's pools are being changed.
func (c *counts) note(claim Claim) {
	delete(c.unfinished, claim.UUID)
	if claim.changing() {
		if c.unfinished == nil {
			c.unfinished = map[string]bool{}
		}
		c.unfinished[claim.UUID] = true
	}
}

// saveCounts notes what the pools are expected to have, for the next Open.
func (l *Ledger) saveCounts() error {
	if len(l.claims)+len(l.newer) == 0 {
		return removeIfThere(l.root.Path(countsFile...))
	}
	l.markWritten()
	if !l.counts.changed {
		return nil
	}
	l.counts.changed = false
	return l.writeCounts(len(l.counts.unfinished) > 0)
}

func (l *Ledger) writeCounts(changing bool) error {
	text, err := json.Marshal(countsText{countsVersion, l.boot, changing, l.counts.pools})
	if err != nil {
		return err
	}
	l.counts.changing, l.counts.stale = changing, false
	return l.root.Replace(text, 0o644, countsFile...)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// expect sees to it that the counts of the pools of grants are on record, before the
// first of the grants is. Those of other nodes are too: one of them may be all that a number
// for the whole host has changed.
func (l *Ledger) expect(grants []pool.Grant) error {
	for _, g := range grants {
		if l.counts.of(g.Node, g.Size) != nil {
			continue
		}
		state, err := pool.Read(l.root)
		if err != nil {
			continue
		}
		for _, p := range state.Pools {
			if p.Size != g.Size || l.counts.of(p.Node, p.Size) != nil {
				continue
			}
			added, _, _, unfinished := l.addedTo(p)
			l.counts.pools = append(l.counts.pools, count{p.Node, p.Size, p.Persistent() - unfinished, p.Persistent() - unfinished - added})
			l.counts.stale = true
		}
	}
	if len(grants) == 0 || l.counts.changing && !l.counts.stale {
		return nil
	}
	l.counts.changed = true
	return l.writeCounts(true)
}

// account notes that a claim's grants are others now, because the pools are.
func (l *Ledger) account(were []pool.Grant, c Claim) {
	add := func(grants []pool.Grant, sign int64) {
		for _, g := range grants {
			if c := l.counts.of(g.Node, g.Size); c != nil && g.Without == nil {
				c.Persistent += sign * g.Pages
				l.counts.changed = true
			}
		}
	}
	add(were, -1)
	add(c.Grants, 1)
	l.counts.note(c)
}

// saveChange saves a claim before one of its grants is changed. It is errMoved if the pool is
// not as expected: somebody has set it since findRewrites looked.
func (l *Ledger) saveChange(i int, c Claim) error {
	if err := l.save(i, c); err != nil || len(l.counts.unfinished) > 1 {
		return err // or what another change that was cut off has come to is not known yet
	}
	for _, g := range c.Grants {
		if known := l.counts.of(g.Node, g.Size); known != nil && g.Without != nil && known.Persistent != *g.Without {
			return pool.ErrMoved
		}
	}
	return nil
}

// leave notes that pages of a grant stay in the pool and are vmhuge's no more, or, of a
// negative number, that some which are there are. It comes before the grant is changed.
func (l *Ledger) leave(node int, size pages.Size, n int64) {
	if c := l.counts.of(node, size); c != nil {
		c.Persistent += n
		c.Others += n
		l.counts.changed, l.counts.stale = true, true
	}
}

// disown notes that the pages of claims which were set aside are vmhuge's no more: all but what
// the other claims have.
func (l *Ledger) disown() {
	for i := range l.counts.pools {
		c := &l.counts.pools[i]
		added := l.recorded(c.Node, c.Size)
		c.Others = c.Persistent - added
		l.counts.changed, l.counts.stale = true, true
	}
}

// addedTo is how many pages all claims have added to a pool; where a writer died, how
// many more they may have, how many fewer the pool may have by pages that were split, and how
// many more it shows.
func (l *Ledger) addedTo(p pool.Pool) (added, most, fewer, unfinished int64) {
	added = l.newerHas(p)
	for _, named := range l.claims {
		c, err := l.read(named)
		if err != nil {
			continue // one that can't be used is seen to elsewhere
		}
		for _, g := range c.Grants {
			switch {
			case g.Node != p.Node || g.Size != p.Size:
			case g.Without == nil:
				added += g.Pages
			default:
				most += g.Pages
				unfinished += g.There(p)
			}
		}
		for _, d := range c.Demoted {
			if d.Node == p.Node && d.Size == p.Size && d.From != nil {
				most += d.Pages // if they are being put together again
				fewer += d.Pages
			}
		}
	}
	return added, most, fewer, unfinished
}
