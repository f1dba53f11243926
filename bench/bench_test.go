package bench

import (
	"context"
	"testing"
	"time"

	"vmhuge/internal/pages"
)

func TestSmallPages(t *testing.T) {
	const size = 8 * pages.MiB
	b, err := Map(Small, 0, size)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Unmap()
	if got, err := b.OnPages(); err != nil || got != size {
		t.Errorf("%d bytes of %d are on small pages, %v", got, size, err)
	}
	if ns, err := b.Access(t.Context(), 10*time.Millisecond); err != nil || ns <= 0 || ns > 10000 {
		t.Errorf("%f ns for an access, %v", ns, err)
	}
}

func TestInterrupted(t *testing.T) {
	b, err := Map(Small, 0, 2*pages.MiB)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Unmap()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ns, err := b.Access(ctx, time.Hour); err == nil {
		t.Errorf("%f ns", ns)
	}
}

// Every part of the buffer is read, and about as often.
func TestChase(t *testing.T) {
	words := make([]uint64, 8*1024)
	seen := [16]int{}
	for i := range words {
		words[i] = uint64(i) // so that what was read can be told
	}
	state := uint64(1)
	for range 16000 {
		before := state*6364136223846793005 + 1442695040888963407
		state = chase(words, 1, state)
		line := (state - before) / 8
		seen[line/64]++
	}
	for part, n := range seen {
		if n < 800 || n > 1200 {
			t.Errorf("part %d of 16 is read %d times of 16000", part, n)
		}
	}
}

const smaps = `55d5c0000000-55d5c0021000 rw-p 00000000 00:00 0                          [heap]
Size:                132 kB
KernelPageSize:        4 kB
Rss:                  12 kB
7f3c40000000-7f3c80000000 rw-p 00000000 00:0f 93 /anon_hugepage (deleted)
Size:            1048576 kB
KernelPageSize:     2048 kB
MMUPageSize:        2048 kB
Rss:                   0 kB
AnonHugePages:         0 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:  524288 kB
VmFlags: rd wr mr mw me de ht sd
7f3c90000000-7f3cd0000000 rw-p 00000000 00:00 0
KernelPageSize:        4 kB
Rss:             1048576 kB
AnonHugePages:   1046528 kB
`

func TestParseSmaps(t *testing.T) {
	for address, want := range map[uintptr]mapping{
		0x7f3c40000000: {page: pages.Size2MiB, hugetlb: 512 * pages.MiB},
		0x7f3c7fffffff: {page: pages.Size2MiB, hugetlb: 512 * pages.MiB},
		0x7f3c90001000: {page: 4096, rss: pages.GiB, thp: pages.GiB - 2*pages.MiB},
	} {
		if got, err := parseSmaps(smaps, address); err != nil || got != want {
			t.Errorf("%x: %+v, %v", address, got, err)
		}
	}
	if got, err := parseSmaps(smaps, 0x7f3c80000000); err == nil {
		t.Errorf("behind the mapping: %+v", got)
	}
}

func FuzzParseSmaps(f *testing.F) {
	f.Add(smaps, uint64(0x7f3c40000000))
	f.Fuzz(func(t *testing.T, text string, address uint64) {
		if m, err := parseSmaps(text, uintptr(address)); err == nil && (m.page < 0 || m.rss < 0 || m.thp < 0 || m.hugetlb < 0) {
			t.Errorf("%+v", m)
		}
	})
}
