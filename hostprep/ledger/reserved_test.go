package ledger

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/pages"
)

func on(nodes []int, n int64) []pool.Take {
	return []pool.Take{{Nodes: nodes, Size: pages.Size2MiB, Pages: n}}
}

// What a reservation keeps from guests: what no program but guests has yet.
func TestHeldBack(t *testing.T) {
	// Of the 32 pages that it has mapped 3 are in use.
	guest := qemu(700, web1) + "-- proc/700/status --\nHugetlbPages:\t6144 kB\n-- proc/700/smaps --\n" + someSmaps
	numa := "-- proc/700/numa_maps --\n7f3c40000000 default file=/x huge dirty=3 N0=1 N1=2 kernelpagesize_kB=2048\n"
	small := qemu(700, web1) + "-- proc/700/status --\nHugetlbPages:\t0 kB\n"
	promised := "-- pools --\nall 2048 100 60 35 0 0\n0 2048 100 60 0\n-- proc/sys/kernel/random/boot_id --\nx\n"
	for name, test := range map[string]struct {
		host, guest string
		reserve     map[string][]pool.Take
		want        []pool.Pending
	}{
		"nothing is reserved": {host: oneNode},
		// 40 are in use, and no guest has them.
		"others have a part": {oneNode, "", map[string][]pool.Take{"ovs": on(nil, 50)}, []pool.Pending{{Take: on(nil, 50)[0], Unmapped: 10, Unfaulted: 10, For: "ovs"}}},
		"others have more":   {oneNode, "", map[string][]pool.Take{"ovs": on(nil, 30)}, nil},
		"for two programs":   {oneNode, "", map[string][]pool.Take{"ovs": on(nil, 30), "spdk": on(nil, 30)}, []pool.Pending{{Take: on(nil, 30)[0], Unmapped: 20, Unfaulted: 20, For: "spdk"}}},
		"a guest has 3":      {oneNode, guest, map[string][]pool.Take{"ovs": on(nil, 50)}, []pool.Pending{{Take: on(nil, 50)[0], Unmapped: 13, Unfaulted: 13, For: "ovs"}}},
		"one on small pages": {oneNode, small, map[string][]pool.Take{"ovs": on(nil, 50)}, []pool.Pending{{Take: on(nil, 50)[0], Unmapped: 10, Unfaulted: 10, For: "ovs"}}},
		// Of the 35 promised pages the guest has 29: 6 are another program's.
		"others were promised some": {promised, guest, map[string][]pool.Take{"ovs": on(nil, 50)}, []pool.Pending{{Take: on(nil, 50)[0], Unmapped: 7, Unfaulted: 13, For: "ovs"}}},
		// On node 0 are 4 in use, of which 1 is the guest's; on node 1 are 6, and 2.
		"bound":                  {twoNodes, guest + numa, map[string][]pool.Take{"ovs": on([]int{0}, 8)}, []pool.Pending{{Take: on([]int{0}, 8)[0], Unmapped: 5, Unfaulted: 5, For: "ovs"}}},
		"anywhere":               {twoNodes, guest + numa, map[string][]pool.Take{"ovs": on(nil, 8)}, []pool.Pending{{Take: on(nil, 8)[0], Unmapped: 1, Unfaulted: 1, For: "ovs"}}},
		"the bound one is first": {twoNodes, guest + numa, map[string][]pool.Take{"ovs": on([]int{0}, 3), "db": on(nil, 5)}, []pool.Pending{{Take: on(nil, 5)[0], Unmapped: 1, Unfaulted: 1, For: "db"}}},
	} {
		t.Run(name, func(t *testing.T) {
			root := fixture(t, test.host, us(), test.guest)
			l := open(t, root)
			for program, takes := range test.reserve {
				must(t, l.Reserve(program, takes))
			}
			l.Close()
			got, err := ReadPending(root, "")
			must(t, err)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			byClaim, err := ReadPendings(root)
			must(t, err)
			for _, p := range test.want {
				if diff := cmp.Diff([]pool.Pending{p}, byClaim[ReservedUUID(p.For)]); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// If it can't be told what a guest has, all that is reserved is held back.
func TestHeldBackUnknown(t *testing.T) {
	root := fixture(t, oneNode, us(), qemu(700, web1))
	must(t, os.MkdirAll(root.Path("proc", "700", "smaps"), 0o755)) // can't be read
	l := open(t, root)
	must(t, l.Reserve("ovs", on(nil, 50)))
	if diff := cmp.Diff([]pool.Pending{{Take: on(nil, 50)[0], Unmapped: 50, Unfaulted: 50, For: "ovs"}}, l.Pending("")); diff != "" {
		t.Error(diff)
	}
}

// A reservation outlives every Open, is changed, and ends; no page comes or goes with it.
func TestReservation(t *testing.T) {
	root := fixture(t, oneNode, us())
	l := open(t, root)
	must(t, l.Reserve("ovs", on(nil, 50)))
	must(t, l.Reserve("ovs", WithTake(l.Reserved("ovs"), pool.Take{Nodes: nil, Size: pages.Size2MiB, Pages: 45})))
	must(t, l.Reserve("ovs", WithTake(l.Reserved("ovs"), pool.Take{Nodes: []int{0}, Size: pages.Size2MiB, Pages: 7})))
	l.Close()
	l = open(t, root)
	want := []Reservation{{For: "ovs", Take: on(nil, 45)[0], HeldBack: 12}, {For: "ovs", Take: on([]int{0}, 7)[0]}}
	got, err := ReadReservations(root)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{ReservedUUID("ovs") + ".reserved"}, files(t, root)); diff != "" {
		t.Error(diff)
	}
	// A guest comes and goes: its pages go with it, though ovs waits for some.
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: process.Process{PID: os.Getpid(), Start: 77}, Takes: on(nil, 60)}))
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 12}}, pool.Effort{}))
	given, owed, err := l.Release(web1)
	if err != nil || given != 24*pages.MiB || owed != 0 || nr(t, root, 0, 2048) != 100 {
		t.Errorf("%v: %d given, %d owed, %d pages", err, given, owed, nr(t, root, 0, 2048))
	}
	own, others, err := ReadReservedWith(root, "ovs", pool.Take{Nodes: nil, Size: pages.Size2MiB, Pages: 60})
	must(t, err)
	if diff := cmp.Diff([]pool.Pending{{Take: on(nil, 60)[0], Unmapped: 27, Unfaulted: 27, For: "ovs"}}, own); diff != "" || len(others) > 0 {
		t.Errorf("%v: %s", others, diff)
	}
	must(t, l.Reserve("ovs", nil))
	must(t, l.Reserve("ovs", nil))
	if left := files(t, root); len(left)+len(l.Reserved("ovs")) > 0 {
		t.Error(left)
	}
}
