package bench

import (
	"context"
	"os"
	"testing"
	"time"

	"vmhuge/internal/pages"
)

func TestSmallPages(t *testing.T) {
	const size = 8 * pages.MiB
	b, err := Map(Small, pages.Size(os.Getpagesize()), size)
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
	b, err := Map(Small, pages.Size(os.Getpagesize()), 2*pages.MiB)
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
