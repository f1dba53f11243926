package pool

import (
	"maps"
	"slices"

	"vmhuge/internal/pages"
)

// Take is pages that a guest takes when it starts or grows.
type Take struct {
	Nodes []int      `json:"nodes,omitempty"` // on these nodes alone; none named: on any
	Size  pages.Size `json:"page_size_kib"`
	Pages int64      `json:"pages"`
	// Growth says that the guest leaves them in the pool until it grows.
	Growth bool `json:"growth,omitempty"`
	// Unplugging says that the guest was asked to give them up, and has perhaps not done so.
	Unplugging bool `json:"unplugging,omitempty"`
}

// At says whether two takes are from the same pools.
func (t Take) At(o Take) bool { return t.Size == o.Size && slices.Equal(t.Nodes, o.Nodes) }

// Pending is pages that look free, or soon will, but that a starting guest will still
// take, or that are reserved for a program.
type Pending struct {
	Take
	// Unmapped are those that the kernel has not promised to the guest yet:
	// they are neither in use nor in resv_hugepages.
	Unmapped int64
	// Unfaulted are those that are not in use yet, mapped or not; they are in
	// free_hugepages, or in no pool yet.
	Unfaulted int64
	// For is the program for which they are reserved, or, with Kept, the guest for which they
	// are kept; "": a guest that starts takes them.
	For  string
	Kept bool
}

// Spare is how many free pages of a size are promised or reserved to no program and promised
// to no guest that is starting; below 0: more are promised than there are.
func (s State) Spare(size pages.Size, pending []Pending) int64 {
	g, _ := s.Global(size)
	spare := g.Free - g.Reserved
	for _, p := range pending {
		if p.Size == size {
			spare -= p.Unmapped
		}
	}
	return spare
}

// Less takes n pages of a size off a list; nothing for a negative number.
func Less(takes []Take, size pages.Size, n int64) []Take {
	takes = slices.Clone(takes)
	for i := range takes {
		if takes[i].Size == size && n > 0 && !takes[i].Growth {
			part := min(n, takes[i].Pages)
			takes[i].Pages -= part
			n -= part
		}
	}
	return slices.DeleteFunc(takes, func(t Take) bool { return t.Pages == 0 })
}

// TakesOf are pages by their size, in the order of the sizes.
func TakesOf(of map[pages.Size]int64) (takes []Take) {
	for _, size := range slices.Sorted(maps.Keys(of)) {
		takes = append(takes, Take{Size: size, Pages: of[size]})
	}
	return takes
}
