package hostprep

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// bootFile is the table of what the host has from boot on. What else is written
// to make it so, for sysctl, systemd and the kernel's command line, follows from
// it.
const bootFile = "/etc/vmhuge/boot.json"

// Boot is that table.
type Boot struct {
	Version int         `json:"version"`
	Pages   []BootPages `json:"pages"`
	Folders []Folder    `json:"folders,omitempty"`
	// Overcommit says that the kernel makes the pages when they are wanted.
	Overcommit bool `json:"overcommit,omitempty"`
	// DefaultSize is what the kernel's command line makes the default; 0: it is left
	// as it is. Settings that go by the default size are not used then: they would
	// mean one size before that boot, and another after it.
	DefaultSize pages.Size `json:"default_page_size_kib,omitempty"`
	// ShmGroup is the number of the group that may map pages by shmget; 0: none's.
	ShmGroup int `json:"hugetlb_shm_group,omitempty"`
}

// BootPages are pages that the pools have from boot on.
type BootPages struct {
	UUID  string     `json:"uuid,omitempty"` // of the guest that they are for; "": no one's
	Name  string     `json:"name,omitempty"`
	Nodes []int      `json:"nodes,omitempty"` // on these nodes alone; none named: on any
	Size  pages.Size `json:"page_size_kib"`
	Pages int64      `json:"pages"`
}

// Folder is one that a hugetlbfs lacks after each boot: 0700 1000:1000.
type Folder struct {
	Path  string `json:"path"`
	State string `json:"state"`
}

const bootVersion = 1

// Boot reads the table; without the file it is empty.
func (h Host) Boot() (Boot, error) {
	text, err := h.Root.Read(bootFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Boot{Version: bootVersion}, nil
	}
	if err != nil {
		return Boot{}, err
	}
	b, err := parseBoot([]byte(text))
	if err != nil {
		return Boot{}, fmt.Errorf("%s: %w", bootFile, err)
	}
	return b, nil
}

// parseBoot reads the table:
//
//	{"version":1,"pages":[
//	 {"uuid":"6695eb01-…","name":"web1","page_size_kib":2048,"pages":512},
//	 {"nodes":[1],"page_size_kib":1048576,"pages":2}]}
func parseBoot(text []byte) (Boot, error) {
	var b Boot
	if err := json.Unmarshal(text, &struct{ Version *int }{&b.Version}); err != nil {
		return Boot{}, err
	}
	if b.Version != bootVersion {
		return Boot{}, fmt.Errorf("it has version %d, and this vmhuge knows version %d", b.Version, bootVersion)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&b); err != nil {
		return Boot{}, err
	}
	if b.DefaultSize < 0 {
		return Boot{}, fmt.Errorf("a default of %d bytes", b.DefaultSize)
	}
	for _, p := range b.Pages {
		if p.Pages <= 0 || p.Size <= 0 || slices.ContainsFunc(p.Nodes, func(n int) bool { return n < 0 }) {
			return Boot{}, fmt.Errorf("%d pages of %d bytes on the nodes %v", p.Pages, p.Size, p.Nodes)
		}
	}
	return b, nil
}

// text is the table as its file has it; "": nothing is in it.
func (b Boot) text() string {
	if len(b.Pages)+len(b.Folders) == 0 && b.ShmGroup == 0 {
		return ""
	}
	b.Version = bootVersion
	if b.Pages == nil {
		b.Pages = []BootPages{}
	}
	text, _ := json.MarshalIndent(b, "", " ") // numbers and strings: it can't fail
	return string(text) + "\n"
}

// with returns the table with what a preparation asks for. What it had for the
// same guests, and for no one on the same nodes, is replaced.
func (b Boot) with(p Preparation) Boot {
	replace := func(old func(BootPages) bool, rows ...BootPages) {
		b.Pages = append(slices.DeleteFunc(slices.Clone(b.Pages), old), rows...)
	}
	for _, g := range p.guests() {
		var rows []BootPages
		for _, take := range takesOf(g.Demand) {
			row := BootPages{UUID: g.Demand.UUID, Name: g.Demand.Domain, Nodes: take.Nodes, Size: take.Size, Pages: take.Pages}
			if i := slices.IndexFunc(rows, row.at); i >= 0 {
				rows[i].Pages += take.Pages
			} else {
				rows = append(rows, row)
			}
		}
		replace(func(old BootPages) bool { return old.UUID == g.Demand.UUID }, rows...)
	}
	for _, need := range p.Pages {
		row := BootPages{Nodes: need.Nodes, Size: need.Size, Pages: need.Pages}
		if need.Pages > 0 {
			replace(func(old BootPages) bool { return old.UUID == "" && row.at(old) }, row)
		} else {
			replace(func(old BootPages) bool { return old.UUID == "" && row.at(old) })
		}
	}
	if len(p.guests())+len(p.Pages) > 0 {
		b.Overcommit = p.Overcommit
	}
	return b
}

// at says whether two rows are of the same pools.
func (p BootPages) at(q BootPages) bool { return p.Size == q.Size && slices.Equal(p.Nodes, q.Nodes) }

// sums adds up the rows of the same pools.
func (b Boot) sums() []BootPages {
	var sums []BootPages
	for _, row := range b.Pages {
		row.UUID, row.Name = "", ""
		if i := slices.IndexFunc(sums, row.at); i >= 0 {
			sums[i].Pages += row.Pages
		} else {
			sums = append(sums, row)
		}
	}
	return sums
}

// lacks returns what the pools lack of the table, and which of the pages that
// they have are the table's, for the ledger to know them. others is how many
// pages of the default size another file reserves on any node.
func (b Boot) lacks(state pool.State, defaultSize pages.Size, others int64) (needs []pool.Need, there []pool.Grant) {
	used := map[[2]int64]int64{} // by node and size
	sums := b.sums()
	if b.Overcommit {
		sums = slices.DeleteFunc(sums, func(p BootPages) bool { return p.Nodes == nil && p.Size == defaultSize })
	}
	const foreign = "another file"
	sums = append(sums, BootPages{Name: foreign, Size: defaultSize, Pages: others})
	// Those with the least choice of nodes come first: the others take what is left.
	choice := func(p BootPages) int {
		if p.Nodes == nil {
			return math.MaxInt
		}
		return len(p.Nodes)
	}
	slices.SortStableFunc(sums, func(p, q BootPages) int { return cmp.Compare(choice(p), choice(q)) })
	for _, row := range sums {
		missing := row.Pages
		for _, p := range state.Pools {
			if p.Size != row.Size || row.Nodes != nil && !slices.Contains(row.Nodes, p.Node) {
				continue
			}
			key := [2]int64{int64(p.Node), int64(p.Size)}
			n := min(missing, max(0, p.Persistent()-used[key]))
			if n > 0 {
				used[key] += n
				missing -= n
				if row.Name != foreign {
					there = append(there, pool.Grant{Node: p.Node, Size: p.Size, Pages: n})
				}
			}
		}
		if missing > 0 {
			needs = append(needs, pool.Need{Nodes: row.Nodes, Size: row.Size, Pages: missing})
		}
	}
	return needs, there
}
