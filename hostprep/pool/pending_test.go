package pool

import (
	"testing"

	"github.com/google/go-cmp/cmp"

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
	mapped, faulted := sumHugetlb(smaps.Parse(someSmaps))
	if diff := cmp.Diff(map[pages.Size]int64{pages.Size2MiB: 32}, mapped); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[pages.Size]int64{pages.Size2MiB: 3}, faulted); diff != "" {
		t.Error(diff)
	}
}

func TestPending(t *testing.T) {
	on1, any, big := []int{1}, []int(nil), pages.Size1GiB
	takes := []Take{{on1, pages.Size2MiB, 30}, {any, pages.Size2MiB, 12}, {any, big, 1}}
	for name, test := range map[string]struct {
		claim Claim
		host  string
		want  []Pending
	}{
		"QEMU has not begun": {Claim{Takes: takes}, "", []Pending{
			{takes[0], 30, 30, ""}, {takes[1], 12, 12, ""}, {takes[2], 1, 1, ""}}},
		"QEMU has begun": {Claim{Takes: takes, PID: 700}, qemu(700, web1), []Pending{
			{takes[0], 30, 30, ""}, {takes[1], 12, 12, ""}, {takes[2], 1, 1, ""}}},
		// 32 of 42 mapped, 3 there: the other 10 may be any, the 39 as well.
		"QEMU is at it": {Claim{Takes: takes, PID: 700}, qemu(700, web1) + "-- proc/700/smaps --\n" + someSmaps, []Pending{
			{takes[0], 10, 30, ""}, {takes[1], 0, 12, ""}, {takes[2], 1, 1, ""}}},
		"QEMU has it all": {Claim{Takes: []Take{{on1, pages.Size2MiB, 2}, {any, pages.Size2MiB, 1}}, PID: 700},
			qemu(700, web1) + "-- proc/700/smaps --\n" + someSmaps, nil},
		"it takes nothing": {Claim{}, "", nil},
	} {
		if diff := cmp.Diff(test.want, test.claim.pending(fixture(t, oneNode, test.host))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
