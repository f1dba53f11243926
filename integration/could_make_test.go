package integration

import (
	"context"
	"errors"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/capacity"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/ledger"
	hostpool "vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/pages"
)

const small, huge = 4 << 10, 2 << 20

// couldMakeAndMakes fragments memory in ways that compaction can mend and can't, and
// then really has the pools grow: by less than what the kernel could allocate now at
// once, and by no more than it could at most.
func couldMakeAndMakes(t *testing.T) {
	hostAsBefore(t)
	for _, row := range sampled(t, []struct {
		name     string
		fragment func(t *testing.T)
	}{
		{"as it is", func(*testing.T) {}},
		{"what can move in each huge page", func(t *testing.T) {
			memory := touched(t, 90)
			for at := 0; at < len(memory); at += huge {
				drop(t, memory[at+16*small:at+huge])
			}
		}},
		{"what can't move, here and there", func(t *testing.T) { sparseTables(t) }},
		{"what can move where that was", func(t *testing.T) {
			tables := sparseTables(t)
			memory := touched(t, 90)
			unmap(t, tables)
			for at := 0; at < len(memory); at += huge {
				drop(t, memory[at+64*small:at+huge])
			}
		}},
	}) {
		t.Run(row.name, func(t *testing.T) {
			row.fragment(t)
			could, allowed := couldMake(t, pages.Size2MiB)
			now, most := grown(t, pages.Size2MiB, could.Now), grown(t, pages.Size2MiB, allowed)
			t.Logf("now %d, after compaction %d; the kernel made %d of the former, and %d at most", could.Now, could.Compacted, now, most)
			// Only what other programs take meanwhile may be missing.
			if now < could.Now-could.Now/50 {
				t.Errorf("could make %d now, it said, and the kernel made %d", could.Now, now)
			}
			if most > could.Compacted {
				t.Errorf("could make at most %d, it said, and the kernel made %d", could.Compacted, most)
			}
		})
	}
}

// couldMake is what is said of pages of a size, and how many the host may give,
// which keeps little.
func couldMake(t *testing.T, size pages.Size) (could hostprep.CouldMake, allowed int64) {
	t.Helper()
	host := host.Host{Root: "/"}
	headroom, reserve, err := capacity.Headroom(host, 400*pages.MiB)
	if err != nil {
		t.Fatal(err)
	}
	growth, err := capacity.ReadGrowth(host, headroom, reserve)
	if err != nil {
		t.Fatal(err)
	}
	return growth.On(size, nil), headroom * pages.KiB / int64(size)
}

// grown is how many pages a claim got when it asked for so many; it gives them
// back.
func grown(t *testing.T, size pages.Size, n int64) int64 {
	t.Helper()
	book, err := ledger.Open(t.Context(), "/")
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	owner, err := process.Find("/", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := book.Begin(ledger.Claim{UUID: benchUUID, Owner: owner}); err != nil {
		t.Fatal(err)
	}
	err = book.Grow(context.Background(), benchUUID, []hostpool.Need{{Size: size, Pages: n}}, hostpool.Effort{DropCaches: true})
	if short := (*hostpool.Short)(nil); errors.As(err, &short) {
		n, err = short.Got, nil
	}
	_, _, rerr := book.Release(benchUUID)
	if err := errors.Join(err, rerr); err != nil {
		t.Fatal(err)
	}
	return n
}

// touched is memory that takes so many percent of what is free, in small pages.
func touched(t *testing.T, percent int) []byte {
	t.Helper()
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	memory := mapped(t, int(info.Freeram*uint64(info.Unit))/100*percent&^(huge-1))
	populate(t, memory)
	return memory
}

// populate has the kernel allocate memory, which costs emulation less than a page fault for
// each page.
func populate(t *testing.T, memory []byte) {
	t.Helper()
	if err := unix.Madvise(memory, unix.MADV_POPULATE_WRITE); err != nil {
		t.Fatal(err)
	}
}

func mapped(t *testing.T, size int) []byte {
	t.Helper()
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err == nil {
		err = unix.Madvise(memory, unix.MADV_NOHUGEPAGE)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(memory) })
	return memory
}

func drop(t *testing.T, memory []byte) {
	t.Helper()
	if err := unix.Madvise(memory, unix.MADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
}

// sparseTables leaves a few page tables, which the kernel can't move, of each 64
// that it made of half a GiB.
func sparseTables(t *testing.T) []byte {
	t.Helper()
	memory := mapped(t, 150_000*huge)
	sum := byte(0)
	for at := 0; at < len(memory); at += huge {
		sum += memory[at] // maps the zero page: only the page table takes memory
	}
	for at := 0; at+64*huge <= len(memory); at += 64 * huge {
		unmap(t, memory[at+huge:at+61*huge])
	}
	return memory[:len(memory)+int(sum)]
}

// unmap takes out a part of a mapping, and its page tables. Nothing is left
// there that could be mapped by others.
func unmap(t *testing.T, memory []byte) {
	t.Helper()
	_, err := unix.MmapPtr(-1, 0, unsafe.Pointer(unsafe.SliceData(memory)), uintptr(len(memory)),
		unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE|unix.MAP_FIXED)
	if err != nil {
		t.Fatal(err)
	}
}
