package pool

import (
	"slices"

	"vmhuge/internal/pages"
)

// TakeOff divides grants: up to n pages of some of them, the newest first, and the rest.
func TakeOff(grants []Grant, n int64, of func(Grant) bool) (taken, rest []Grant) {
	for _, g := range slices.Backward(grants) {
		part := int64(0)
		if of(g) && g.Without == nil { // else the kernel is not done with it
			part = min(max(0, n), g.Pages)
		}
		n -= part
		taken = append(taken, Some(g.Of(part))...)
		rest = append(rest, Some(g.Rest(part))...)
	}
	slices.Reverse(rest)
	return taken, rest
}

// SizesOf are the page sizes of grants.
func SizesOf(grants []Grant) (sizes []pages.Size) {
	for _, g := range grants {
		if !slices.Contains(sizes, g.Size) {
			sizes = append(sizes, g.Size)
		}
	}
	return sizes
}

// Done is how many pages of a size grants are, without those with which the kernel is not done.
func Done(grants []Grant, size pages.Size) (n int64) {
	for _, g := range grants {
		if g.Size == size && g.Without == nil {
			n += g.Pages
		}
	}
	return n
}

// DoneOn is Done for one node.
func DoneOn(grants []Grant, node int, size pages.Size) int64 {
	return Done(slices.DeleteFunc(slices.Clone(grants), func(g Grant) bool { return g.Node != node }), size)
}
