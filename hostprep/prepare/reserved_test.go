package prepare

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/journal"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

const booted = "-- modes --\nvar/lib/ 0755 0:0\n-- proc/sys/kernel/random/boot_id --\n4f0\n"

func reserving(n int64) Options {
	return Options{For: "ovs", Pages: []pool.Need{{Size: pages.Size2MiB, Pages: n}}}
}

// A reservation whose pages the host can't give is not made, and the one before stays.
func TestReserveTooMuch(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", booted)}
	done, err := Do(t.Context(), h, reserving(8), pool.Effort{})
	if err != nil || done.Reservation == nil || done.Reservation.Pages != 8 {
		t.Fatalf("%v: %+v", err, done)
	}
	done, err = Do(t.Context(), h, reserving(3000), pool.Effort{})
	if err != nil || done.Reservation != nil || len(done.Findings) == 0 || done.Findings[len(done.Findings)-1].Verdict != hostprep.NoMemory {
		t.Errorf("%v: %+v", err, done)
	}
	all, err := ledger.ReadReservations(h.Root)
	if err != nil || len(all) != 1 || all[0].Pages != 8 {
		t.Errorf("%v: %v", err, all)
	}
}

// What was added for a guest whose start was killed goes back on the way, and the user hears of it.
func TestGoneGuestIsTold(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", booted)}
	const uuid = "6695eb01-f6a4-8304-79aa-97f2502e193f"
	book, err := ledger.Open(t.Context(), h.Root)
	hosttest.Must(t, err)
	hosttest.Must(t, book.Begin(ledger.Claim{UUID: uuid, Name: "web1"})) // of a process that is gone
	hosttest.Must(t, book.Grow(t.Context(), uuid, []pool.Need{{Size: pages.Size2MiB, Pages: 8}}, pool.Effort{}))
	book.Close()
	done, err := Do(t.Context(), h, reserving(8), pool.Effort{})
	want := []string{ledger.Settlement{UUID: uuid, Name: "web1", Given: 16 * pages.MiB}.String()}
	if diff := cmp.Diff(want, done.Notices); err != nil || diff != "" {
		t.Errorf("%v (-want +told):\n%s", err, diff)
	}
}

// After a reboot what was reserved for good is reserved again, and is no guest's.
func TestReservedAtBoot(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", systemdHost+booted)}
	p := reserving(8)
	p.Persist = true
	findings, _ := Plan(h, p)
	for _, f := range findings {
		hosttest.Must(t, journal.Journal{Host: h}.Apply(f.Changes))
	}
	hosttest.WriteFile(t, h.Root.Path("proc/sys/kernel/random/boot_id"), "rebooted\n")
	for range 2 { // other programs have 848 pages in use already
		book, err := ledger.Open(t.Context(), h.Root)
		hosttest.Must(t, err)
		_, _, err = AtBoot(t.Context(), h, book)
		hosttest.Must(t, err)
		book.Close()
		all, err := ledger.ReadReservations(h.Root)
		hosttest.Must(t, err)
		if diff := cmp.Diff([]ledger.Reservation{{For: "ovs", Take: p.take(), HeldBack: 0}}, all); diff != "" {
			t.Error(diff)
		}
	}
	p.Overcommit, p.For, p.Pages = true, "", nil
	p.Guests = []hostprep.Guest{web1}
	if findings, possible := Plan(h, p); possible {
		t.Errorf("overcommit reserves nothing, and is planned: %+v", findings)
	}
}

// The end of a reservation takes no pages, and so no hugetlbfs.
func TestReservationEndsWithoutMount(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
	for n, want := range map[int64]int{0: 0, 10: 1} {
		sizes, err := mountSizes(h, reserving(n))
		if err != nil || len(sizes) != want {
			t.Errorf("%d pages: a hugetlbfs for %v, %v", n, sizes, err)
		}
	}
}

// Pages of another program count as the named one's, until they are reserved for that one: that
// adds what is missing for both.
func TestReserveBesideAProgram(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", booted+"-- pools --\nall 2048 2048 200 0 0 0\n0 2048 2048 200 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n")}
	_, err := Do(t.Context(), h, reserving(512), pool.Effort{})
	hosttest.Must(t, err)
	if n := persistentPages(t, h); n != 2048 {
		t.Errorf("%d pages", n)
	}
	state, err := h.Pools()
	hosttest.Must(t, err)
	lacks, err := Options{For: "postgres", Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 1848}}}.lacks(h, state)
	if err != nil || len(lacks) != 1 || lacks[0].Pages != 512-200 {
		t.Errorf("%v: lacks %+v", err, lacks)
	}
}
