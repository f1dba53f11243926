// Package bench measures what a page size makes of random access to memory:
// the time of one access that depends on the one before it, over a buffer that
// is on those pages, as the kernel says.
package bench

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
	"vmhuge/internal/smaps"
)

// Kind is what backs a buffer.
type Kind string

// The kinds of pages.
const (
	Small   Kind = "small"   // pages of the kernel's own size
	THP     Kind = "thp"     // transparent huge pages
	Hugetlb Kind = "hugetlb" // pages of a hugetlb pool
)

// Buffer is memory of one kind.
type Buffer struct {
	words  []uint64 // as many as are read
	memory []byte   // all that is mapped
	size   pages.Size
	kind   Kind
	state  uint64 // where reading goes on
}

// Map gets a buffer of so many bytes, a multiple of 4 KiB, with every page of
// it filled. size is that of its pages: of transparent huge ones the kernel's.
func Map(kind Kind, size pages.Size, bytes int64) (*Buffer, error) {
	length := (size.Ceil(bytes)) * int64(size)
	flags := unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	if kind == Hugetlb {
		flags |= unix.MAP_HUGETLB | bits.TrailingZeros64(uint64(size))<<unix.MAP_HUGE_SHIFT
	} else {
		length += int64(size) // more than is used, to begin where a page does
	}
	memory, err := unix.Mmap(-1, 0, int(length), unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return nil, fmt.Errorf("mapping %s: %w", pages.FormatBytes(length), err)
	}
	b := &Buffer{memory: memory, size: size, kind: kind}
	skip := -int64(b.address()) & int64(size-1)
	used := memory[skip : skip+size.Ceil(bytes)*int64(size)]
	switch kind {
	case Small:
		_ = unix.Madvise(used, unix.MADV_NOHUGEPAGE) // a kernel without THP does not know it
	case THP:
		if unix.Madvise(used, unix.MADV_HUGEPAGE) != nil {
			err = errors.New("the kernel has no transparent huge pages")
		}
	case Hugetlb:
		// A page that can't be had here is an error; to touch it would be the end.
		err = unix.Madvise(used, unix.MADV_POPULATE_WRITE)
		if errors.Is(err, unix.EINVAL) {
			err = nil // Linux before 5.14
		}
	}
	if err != nil {
		b.Unmap()
		return nil, err
	}
	for at := int64(0); at < bytes; at += 4 * pages.KiB {
		used[at] = 0 // a read alone would map the kernel's one page of zeros
	}
	b.words = unsafe.Slice((*uint64)(unsafe.Pointer(&used[0])), bytes/8)
	return b, nil
}

func (b *Buffer) address() uintptr { return uintptr(unsafe.Pointer(&b.memory[0])) }

// Unmap gives the memory back to the kernel.
func (b *Buffer) Unmap() { _ = unix.Munmap(b.memory) }

// OnPages returns how many of the buffer's bytes are on pages of its kind, read
// from the kernel.
func (b *Buffer) OnPages() (int64, error) {
	text, err := hostfs.Root("/").Read("proc", "self", "smaps")
	if err != nil {
		return 0, err
	}
	m, ok := smaps.At(smaps.Parse(text), uint64(uintptr(unsafe.Pointer(&b.words[0]))))
	if !ok {
		return 0, errors.New("/proc/self/smaps has no mapping of the buffer")
	}
	page, rss, thp := pages.SizeOfKiB(m.PageKiB), m.RSSKiB*pages.KiB, m.THPKiB*pages.KiB
	bytes := int64(len(b.words)) * 8
	switch {
	case b.kind == Hugetlb && page == b.size:
		return min(bytes, m.HugetlbKiB*pages.KiB), nil
	case b.kind == THP:
		return min(bytes, thp), nil
	case b.kind == Small && page == b.size:
		return min(bytes, max(0, rss-thp)), nil
	}
	return 0, nil
}

// Access returns the nanoseconds of one access, measured for about so long. It
// is the best of many rounds: what else runs on the host only makes it slower.
func (b *Buffer) Access(ctx context.Context, duration time.Duration) (float64, error) {
	const round = 1 << 17
	best := 0.0
	b.state = chase(b.words, round, b.state) // warm up
	for start := time.Now(); ctx.Err() == nil; {
		began := time.Now()
		b.state = chase(b.words, round, b.state)
		took := float64(time.Since(began)) / round
		if best == 0 || took < best {
			best = took
		}
		if time.Since(start) > duration {
			return best, nil
		}
	}
	return 0, ctx.Err()
}

// chase reads n words in an order that looks random to the CPU. Where the next
// one is depends on what the last one holds, so that no two reads overlap.
func chase(words []uint64, n int, state uint64) uint64 {
	lines := uint64(len(words) / 8) // one word of each cache line
	for range n {
		// Knuth's MMIX generator: its high bits choose the line.
		state = state*6364136223846793005 + 1442695040888963407
		line, _ := bits.Mul64(state, lines)
		state += words[line*8]
	}
	return state
}
