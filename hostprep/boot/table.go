// Package boot plans which huge pages a host has from boot on: the table of them, and what
// follows from it for sysctl, systemd and the boot loader.
package boot

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// TableFile is the table. The files for sysctl and systemd and the kernel's command line
// are generated from it.
const TableFile = "/etc/vmhuge/boot.json"

// Table is what the host has from boot on.
type Table struct {
	Version int      `json:"version"`
	Pages   []Row    `json:"pages"`
	Folders []Folder `json:"folders,omitempty"`
	// OnDemand are the areas from which the kernel can allocate pages of 1 GiB at any time.
	OnDemand []Area `json:"on_demand,omitempty"`
	// FreeStructs has the kernel free the page structs of huge pages (hugetlb_free_vmemmap).
	FreeStructs bool `json:"free_vmemmap,omitempty"`
	// Overcommit says that no pages are reserved at boot: the kernel allocates them when
	// a guest starts.
	Overcommit bool `json:"overcommit,omitempty"`
	// DefaultSize is the default size that the kernel's command line sets; 0: none. If it
	// is set, settings for the default size are not used: they would mean another size
	// before the next boot than after it.
	DefaultSize pages.Size `json:"default_page_size_kib,omitempty"`
	// ShmGroup is the ID of the group that may map pages with shmget; 0: none.
	ShmGroup int `json:"hugetlb_shm_group,omitempty"`
}

// Row is a number of pages of one size that the host has from boot on.
type Row struct {
	UUID string `json:"uuid,omitempty"` // of the guest that they are for; "": no guest in particular
	Name string `json:"name,omitempty"`
	// Reserved says that no guest may have them: they are for the program Name.
	Reserved bool       `json:"reserved,omitempty"`
	Nodes    []int      `json:"nodes,omitempty"` // only on these nodes; nil: on any
	Size     pages.Size `json:"page_size_kib"`
	Pages    int64      `json:"pages"`
}

// Folder is made on a hugetlbfs at each boot, with State: 0700 1000:1000.
type Folder struct {
	Path  string `json:"path"`
	State string `json:"state"`
}

const tableVersion = 1

// Read reads the table. If there is no file, it is empty.
func Read(h host.Host) (Table, error) {
	text, err := h.Root.Read(TableFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Table{Version: tableVersion}, nil
	}
	if err != nil {
		return Table{}, err
	}
	b, err := parseTable([]byte(text))
	if err != nil {
		return Table{}, fmt.Errorf("%s: %w", TableFile, err)
	}
	return b, nil
}

// parseTable reads the table:
//
//	{"version":1,"pages":[
//	 {"uuid":"6695eb01-…","name":"web1","page_size_kib":2048,"pages":512},
//	 {"nodes":[1],"page_size_kib":1048576,"pages":2}]}
func parseTable(text []byte) (Table, error) {
	var b Table
	if err := json.Unmarshal(text, &struct{ Version *int }{&b.Version}); err != nil {
		return Table{}, err
	}
	if b.Version != tableVersion {
		return Table{}, fmt.Errorf("it has version %d, and this vmhuge knows version %d", b.Version, tableVersion)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&b); err != nil {
		return Table{}, err
	}
	if b.DefaultSize < 0 {
		return Table{}, fmt.Errorf("a default of %d bytes", b.DefaultSize)
	}
	for _, p := range b.Pages {
		if p.Pages <= 0 || p.Size <= 0 || slices.ContainsFunc(p.Nodes, func(n int) bool { return n < 0 }) {
			return Table{}, fmt.Errorf("%d pages of %d bytes on the nodes %v", p.Pages, p.Size, p.Nodes)
		}
	}
	for _, a := range b.OnDemand {
		if a.Node < -1 || a.GiB <= 0 {
			return Table{}, fmt.Errorf("an area of %d GiB on node %d", a.GiB, a.Node)
		}
	}
	return b, nil
}

// Text is the text of the table's file; "": the table is empty.
func (b Table) Text() string {
	if len(b.Pages)+len(b.Folders)+len(b.OnDemand) == 0 && b.ShmGroup == 0 && !b.FreeStructs {
		return ""
	}
	b.Version = tableVersion
	if b.Pages == nil {
		b.Pages = []Row{}
	}
	text, _ := json.MarshalIndent(b, "", " ") // numbers and strings: it can't fail
	return string(text) + "\n"
}

// At says whether two rows are for the same pools.
func (p Row) At(q Row) bool { return p.Size == q.Size && slices.Equal(p.Nodes, q.Nodes) }

// Sums adds up the rows for the same pools. The pages that pools shall have at least, for
// nobody in particular, are what is left of them beside the rows of guests and programs, and
// beside what others reserve at boot on any node, by size.
func (b Table) Sums(others map[pages.Size]int64) []Row {
	var sums []Row
	add := func(row Row) {
		row.UUID, row.Name, row.Reserved = "", "", false
		if i := slices.IndexFunc(sums, row.At); i >= 0 {
			sums[i].Pages += row.Pages
		} else {
			sums = append(sums, row)
		}
	}
	for _, row := range b.Pages {
		if !row.atLeast() {
			add(row)
		}
	}
	for _, onNodes := range []bool{true, false} { // those on any node contain the others
		for _, row := range b.Pages {
			if !row.atLeast() || onNodes != (row.Nodes != nil) {
				continue
			}
			if !onNodes {
				row.Pages -= others[row.Size]
			}
			for _, other := range sums {
				if other.Size == row.Size && row.contains(other) {
					row.Pages -= other.Pages
				}
			}
			if row.Pages > 0 {
				add(row)
			}
		}
	}
	return sums
}

// atLeast says that a row is a number that pools shall have for anybody.
func (p Row) atLeast() bool { return p.UUID == "" && p.Name == "" }

// contains says that all pages of another row are in the pools of this one.
func (p Row) contains(q Row) bool {
	return p.Nodes == nil || q.Nodes != nil && !slices.ContainsFunc(q.Nodes, func(n int) bool { return !slices.Contains(p.Nodes, n) })
}

// OthersAtBoot is what reserves pages at the next boot beside vmhuge, as far as it is a number,
// on any node and by size.
func OthersAtBoot(h host.Host) (map[pages.Size]int64, error) {
	kernel, err := ReadKernel(h)
	if err != nil {
		return nil, err
	}
	others, err := kernel.reservedNext(h)
	if err != nil {
		return nil, err
	}
	size, err := kernel.nextDefaultSize(h)
	if err != nil {
		return nil, err
	}
	others[size], err = hugepages(h, "vm.nr_hugepages", true)
	return others, err
}

// With returns the table with the pages that guests take, and those that pools shall have
// for nobody in particular. They replace the table's rows of the same guests, and of
// nobody on the same nodes. overcommit is for all of them; with neither guests nor pools
// it stays as it is.
func (b Table) With(guests []hostprep.Guest, pools []pool.Need, overcommit bool) Table {
	replace := func(old func(Row) bool, rows ...Row) {
		b.Pages = append(slices.DeleteFunc(slices.Clone(b.Pages), old), rows...)
	}
	for _, g := range guests {
		var rows []Row
		for _, take := range hostprep.TakesOf(g.Demand) {
			row := Row{UUID: g.Demand.UUID, Name: g.Demand.Domain, Nodes: take.Nodes, Size: take.Size, Pages: take.Pages}
			if i := slices.IndexFunc(rows, row.At); i >= 0 {
				rows[i].Pages += take.Pages
			} else {
				rows = append(rows, row)
			}
		}
		replace(func(old Row) bool { return old.UUID == g.Demand.UUID }, rows...)
	}
	for _, need := range pools {
		var rows []Row
		at := Row{Nodes: need.Nodes, Size: need.Size, Pages: need.Pages}
		if need.Pages > 0 {
			rows = []Row{at}
		}
		replace(func(old Row) bool { return old.UUID == "" && !old.Reserved && at.At(old) }, rows...)
	}
	if len(guests)+len(pools) > 0 {
		b.Overcommit = overcommit
	}
	return b
}

// WithReserved returns the table with pages that are reserved for a program. A row replaces
// the program's row of the same nodes and size; one of 0 pages only removes it.
func (b Table) WithReserved(program string, needs []pool.Need) Table {
	for _, need := range needs {
		at := Row{Name: program, Reserved: true, Nodes: need.Nodes, Size: need.Size, Pages: need.Pages}
		b.Pages = slices.DeleteFunc(slices.Clone(b.Pages), func(old Row) bool { return old.Reserved && old.Name == program && at.At(old) })
		if need.Pages > 0 {
			b.Pages = append(b.Pages, at)
		}
		b.Overcommit = false
	}
	return b
}

// Reserved is what the table reserves, by program.
func (b Table) Reserved() map[string][]pool.Take {
	takes := map[string][]pool.Take{}
	for _, row := range b.Pages {
		if row.Reserved {
			takes[row.Name] = append(takes[row.Name], pool.Take{Nodes: row.Nodes, Size: row.Size, Pages: row.Pages})
		}
	}
	return takes
}

// WithFolders returns the table with folders, which replace those of the same path.
func (b Table) WithFolders(folders []Folder) Table {
	for _, folder := range folders {
		b.Folders = append(slices.DeleteFunc(slices.Clone(b.Folders), func(f Folder) bool { return f.Path == folder.Path }), folder)
	}
	return b
}

// Lacks returns what a host's pools lack of the table, and which of the pages that they
// have are the table's, for the ledger to count them.
func (b Table) Lacks(h host.Host, state pool.State) (needs []pool.Need, there []pool.Grant, err error) {
	mem, err := h.Meminfo()
	if err != nil {
		return nil, nil, err
	}
	others, err := hugepages(h, "vm.nr_hugepages", false)
	if err != nil {
		return nil, nil, err
	}
	needs, there = b.lacks(state, mem.HugePageSize, others)
	return needs, there, nil
}

// lacks is Lacks where another file reserves so many pages of the default size on any
// node.
func (b Table) lacks(state pool.State, defaultSize pages.Size, others int64) (needs []pool.Need, there []pool.Grant) {
	used := map[[2]int64]int64{} // by node and size
	sums := b.Sums(map[pages.Size]int64{defaultSize: others})
	if b.Overcommit {
		sums = slices.DeleteFunc(sums, func(p Row) bool { return p.Nodes == nil && p.Size == defaultSize })
	}
	const foreign = "another file"
	sums = append(sums, Row{Name: foreign, Size: defaultSize, Pages: others})
	// Rows with the least choice of nodes come first: the others take what is left.
	choice := func(p Row) int {
		if p.Nodes == nil {
			return math.MaxInt
		}
		return len(p.Nodes)
	}
	slices.SortStableFunc(sums, func(p, q Row) int { return cmp.Compare(choice(p), choice(q)) })
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
	return needs, leaveOthers(there, state, defaultSize, others)
}

// leaveOthers takes out of the pages that are the table's what another file has
// reserved: a row for certain nodes may count them, and others are added in their place.
// Both may not be taken back.
func leaveOthers(there []pool.Grant, state pool.State, defaultSize pages.Size, others int64) []pool.Grant {
	excess := -max(0, state.Persistent(defaultSize)-others)
	for _, g := range there {
		if g.Size == defaultSize {
			excess += g.Pages
		}
	}
	for i := range slices.Backward(there) {
		if g := &there[i]; g.Size == defaultSize && excess > 0 {
			n := min(g.Pages, excess)
			g.Pages -= n
			excess -= n
		}
	}
	return slices.DeleteFunc(there, func(g pool.Grant) bool { return g.Pages == 0 })
}

// onCmdline is the row as an option of the kernel. There is no option for "one of these
// nodes": then the pages may come from any.
func (p Row) onCmdline() PoolPages {
	b := PoolPages{Size: p.Size, Pages: p.Pages, Node: -1}
	if len(p.Nodes) == 1 {
		b.Node = p.Nodes[0]
	}
	return b
}

// Words is the table in one line.
func (b Table) Words() string {
	var words []string
	for _, row := range b.Pages {
		words = append(words, row.Words())
	}
	for _, a := range b.OnDemand {
		words = append(words, a.Words())
	}
	if b.DefaultSize != 0 {
		words = append(words, b.DefaultSize.String()+" as the default size")
	}
	if b.FreeStructs {
		words = append(words, "page structs freed")
	}
	if b.ShmGroup != 0 {
		words = append(words, fmt.Sprintf("hugetlb_shm_group %d", b.ShmGroup))
	}
	for _, folder := range b.Folders {
		words = append(words, "the folder "+folder.Path)
	}
	if len(words) == 0 {
		return "no huge pages"
	}
	return strings.Join(words, ", ")
}

// Words is the area in a few words.
func (a Area) Words() string {
	text := pages.FormatBytes(a.GiB*pages.GiB) + " for pages of 1 GiB on demand"
	if a.Node >= 0 {
		text += fmt.Sprintf(" on node %d", a.Node)
	}
	return text
}

func (p Row) Words() string {
	text := pages.Count(p.Pages, p.Size)
	if p.Nodes != nil {
		text += " on node " + pages.FormatNodes(p.Nodes)
	}
	if p.Name != "" {
		text += " for " + p.Name
	}
	return text
}
