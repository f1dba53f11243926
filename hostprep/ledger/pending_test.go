package ledger

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
	"vmhuge/internal/smaps"
)

// A guest of 64 MiB of which 6 MiB are there, with a virtio-mem device of
// 32 MiB, and plain memory besides.
const someSmaps = `7f3c40000000-7f3c44000000 rw-s 00000000 00:2b 93 /dev/hugepages/libvirt/qemu/1-web1/a: b
Size:              65536 kB
KernelPageSize:     2048 kB
MMUPageSize:        2048 kB
Rss:                   0 kB
Shared_Hugetlb:     2048 kB
Private_Hugetlb:    4096 kB
VmFlags: rd wr sh mr mw me ms de ht sd
7f3c50000000-7f3c52000000 rw-p 00000000 00:2b 94 /dev/hugepages/libvirt/qemu/1-web1/c
Size:              32768 kB
KernelPageSize:     2048 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:       0 kB
VmFlags: rd wr mr mw me dd nr ht sd
7f3c60000000-7f3c60021000 rw-p 00000000 00:00 0
Size:                132 kB
KernelPageSize:        4 kB
Rss:                   8 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:       0 kB
VmFlags: rd wr mr mw me ac sd
`

func TestSumHugetlb(t *testing.T) {
	mapped, faulted := smaps.Hugetlb(smaps.Parse(someSmaps))
	if diff := cmp.Diff(map[pages.Size]int64{pages.Size2MiB: 32}, mapped); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[pages.Size]int64{pages.Size2MiB: 3}, faulted); diff != "" {
		t.Error(diff)
	}
}

func TestPending(t *testing.T) {
	on1, any, big := []int{1}, []int(nil), pages.Size1GiB
	takes := []pool.Take{{Nodes: on1, Size: pages.Size2MiB, Pages: 30}, {Nodes: any, Size: pages.Size2MiB, Pages: 12}, {Nodes: any, Size: big, Pages: 1}}
	for name, test := range map[string]struct {
		claim Claim
		host  string
		want  []pool.Pending
	}{
		"QEMU has not begun": {Claim{Takes: takes}, "", []pool.Pending{
			{Take: takes[0], Unmapped: 30, Unfaulted: 30, For: ""}, {Take: takes[1], Unmapped: 12, Unfaulted: 12, For: ""}, {Take: takes[2], Unmapped: 1, Unfaulted: 1, For: ""}}},
		"QEMU has begun": {Claim{Takes: takes, PID: 700}, qemu(700, web1), []pool.Pending{
			{Take: takes[0], Unmapped: 30, Unfaulted: 30, For: ""}, {Take: takes[1], Unmapped: 12, Unfaulted: 12, For: ""}, {Take: takes[2], Unmapped: 1, Unfaulted: 1, For: ""}}},
		// 32 of 42 mapped, 3 there: the other 10 may be any, the 39 as well.
		"QEMU is at it": {Claim{Takes: takes, PID: 700}, qemu(700, web1) + "-- proc/700/smaps --\n" + someSmaps, []pool.Pending{
			{Take: takes[0], Unmapped: 10, Unfaulted: 30, For: ""}, {Take: takes[1], Unmapped: 0, Unfaulted: 12, For: ""}, {Take: takes[2], Unmapped: 1, Unfaulted: 1, For: ""}}},
		"QEMU has it all": {Claim{Takes: []pool.Take{{Nodes: on1, Size: pages.Size2MiB, Pages: 2}, {Nodes: any, Size: pages.Size2MiB, Pages: 1}}, PID: 700},
			qemu(700, web1) + "-- proc/700/smaps --\n" + someSmaps, nil},
		"it takes nothing": {Claim{}, "", nil},
	} {
		if diff := cmp.Diff(test.want, test.claim.pending(fixture(t, oneNode, test.host))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestPendingOfHeld counts what a guest has of which smaps can't be read: its status can.
func TestPendingOfHeld(t *testing.T) {
	hosttest.NeedRoot(t)
	pid, _ := hosttest.HeldProcess(t, 0)
	on1, gib := pool.Take{Nodes: []int{1}, Size: pages.Size2MiB, Pages: 30}, pool.Take{Size: pages.Size1GiB, Pages: 1}
	full := func(takes ...pool.Take) (all []pool.Pending) {
		for _, take := range takes {
			all = append(all, pool.Pending{Take: take, Unmapped: take.Pages, Unfaulted: take.Pages})
		}
		return all
	}
	for name, test := range map[string]struct {
		kib   int // in all
		takes []pool.Take
		has   []pool.Take
		want  []pool.Pending
	}{
		"all":               {kib: 60 << 10, takes: []pool.Take{on1}},
		"some":              {kib: 40 << 10, takes: []pool.Take{on1}, want: []pool.Pending{{Take: on1, Unmapped: 10, Unfaulted: 10}}},
		"none":              {takes: []pool.Take{on1}, want: full(on1)},
		"all it had":        {kib: 64 << 10, takes: []pool.Take{on1}, has: takes(32), want: full(on1)},
		"all, it has grown": {kib: 124 << 10, takes: []pool.Take{on1}, has: takes(32)},
		"all of two sizes":  {kib: 60<<10 + 1<<20, takes: []pool.Take{on1, gib}},
		// Which of them it has is not known.
		"some of two sizes": {kib: 58<<10 + 1<<20, takes: []pool.Take{on1, gib}, want: full(on1, gib)},
	} {
		root := fixture(t, oneNode, stat(pid, 88), fmt.Sprintf("-- proc/%d/status --\nName:\tqemu\nHugetlbPages:\t%8d kB\nThreads:\t5\n", pid, test.kib))
		must(t, os.Symlink(fmt.Sprintf("/proc/%d/smaps", pid), root.Path("proc", strconv.Itoa(pid), "smaps")))
		if diff := cmp.Diff(test.want, Claim{PID: pid, Takes: test.takes, Has: test.has}.pending(root)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
