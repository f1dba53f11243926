package integration

import "testing"

// TestBalloon has a guest's balloon take 64 MiB and give them back. The pages stay the
// guest's, whether QEMU returns some of them to the pool or not: a second guest gets pages
// of its own, so that the first can have its memory back.
func TestBalloon(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 10)
	installHook(t)
	dom := define(t, guest{memory: "<memory unit='MiB'>160</memory>", backing: pages2M, boots: true, balloon: true})
	start(t, dom)
	greeting(t, dom)
	balloon := func(kib uint64) {
		t.Helper()
		if err := dom.SetMemory(kib); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "the balloon has its size", func() bool {
			info, err := dom.GetInfo()
			return err == nil && info.Memory == kib
		})
	}
	total := func() int { return readTestPools(t)[size2M].Nodes[0].Total }
	balloon(96 << 10)
	if n := total(); n != 80 {
		t.Errorf("%d pages beside a guest of 80", n)
	}
	second := define(t, guest{name: guestPrefix + "second", backing: pages2M})
	startPaused(t, second)
	if n, want := total(), 80+pagesOf(t, pidOf(t, second))[size2M]; n != want {
		t.Errorf("%d pages beside two guests of %d", n, want)
	}
	balloon(160 << 10)
	if n := pagesOf(t, pidOf(t, dom))[size2M]; n != 80 {
		t.Errorf("the first has %d pages of 80", n)
	}
	destroy(t, dom)
	destroy(t, second)
	wantClaims(t)
	if n := total(); n != 10 {
		t.Errorf("%d pages are left of 10", n)
	}
}
