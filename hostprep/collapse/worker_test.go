package collapse

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/smaps"
)

const block = uint64(2 * mib)

func TestPlan(t *testing.T) {
	const at = 0x7f0000000000
	whole := span{at, at + 4*block}
	for name, test := range map[string]struct {
		ram  ramRange
		want plan
	}{
		"aligned":                       {ramRange{span: whole}, plan{blocks: []span{whole}}},
		"with edges":                    {ramRange{span: span{at + 4096, at + 3*block + 4096}}, plan{[]span{{at + block, at + 3*block}}, []span{{at + 4096, at + block}, {at + 3*block, at + 3*block + 4096}}}},
		"less than a block":             {ramRange{span: span{at + 4096, at + block + 4096}}, plan{unaligned: []span{{at + 4096, at + block + 4096}}}},
		"a file":                        {ramRange{span: whole, file: true, mapped: at}, plan{blocks: []span{whole}}},
		"a file 4 KiB off":              {ramRange{span: whole, file: true, mapped: at - 4096}, plan{unaligned: []span{whole}}},
		"a file and its mapping, alike": {ramRange{span: whole, file: true, mapped: at - 4096, offset: block - 4096}, plan{blocks: []span{whole}}},
		"of a pool":                     {ramRange{span: whole, hugetlb: true}, plan{}},
	} {
		if diff := cmp.Diff(test.want, newPlan([]ramRange{test.ram}, block), cmp.AllowUnexported(plan{}, span{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	got := joined([]uint64{at, at + block, at + 3*block}, block)
	if diff := cmp.Diff([]span{{at, at + 2*block}, {at + 3*block, at + 4*block}}, got, cmp.AllowUnexported(span{})); diff != "" {
		t.Error(diff)
	}
	if got := cut([]span{{at, at + 5*block}}, 2*block); len(got) != 3 || kib(got) != 5*2048 || got[2] != (span{at + 4*block, at + 5*block}) {
		t.Errorf("%x", got)
	}
}

// The kernel's answers to each block decide what is tried again, and when it is given up.
func TestRounds(t *testing.T) {
	small := host.Host{Root: hosttest.Unpack(t, "one-node", "-- proc/meminfo --\nMemTotal: 8388608 kB\nMemAvailable: 530000 kB\n")}
	large := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
	const blocks = 40
	for name, test := range map[string]struct {
		host   host.Host
		answer func(n uint64, times int) error
		want   Stop
		left   map[Reason]int
	}{
		"all":                   {large, func(uint64, int) error { return nil }, AllTried, nil},
		"busy for a moment":     {large, func(n uint64, times int) error { return when(n == 7 && times < 3, unix.EAGAIN) }, AllTried, nil},
		"pinned":                {large, func(n uint64, _ int) error { return when(n < 3, unix.EAGAIN) }, NoGain, map[Reason]int{Busy: 3}},
		"a limit":               {large, func(n uint64, _ int) error { return when(n > 36, unix.EBUSY) }, NoGain, map[Reason]int{CgroupMax: 3}},
		"no blocks after 20":    {large, func(n uint64, _ int) error { return when(n >= 20, unix.ENOMEM) }, OutOfBlocks, map[Reason]int{NoBlock: shortRun, NotTried: 20 - shortRun}},
		"no block now and then": {large, func(n uint64, _ int) error { return when(n%4 == 0, unix.ENOMEM) }, OutOfBlocks, map[Reason]int{NoBlock: 10}},
		"a host at its limit":   {small, func(uint64, int) error { return nil }, AtReserve, map[Reason]int{NotTried: blocks}},
	} {
		times := map[uint64]int{}
		w := &worker{h: test.host, size: block, left: map[uint64]Reason{}, call: func(_ context.Context, s span) error {
			for at := s.start; at < s.end; at += block {
				times[at]++
				if err := test.answer(at/block-1, times[at]); err != nil {
					return err // as the kernel does, which leaves the rest undone
				}
			}
			return nil
		}}
		w.state = func(s span) ([]Reason, error) {
			return slices.Repeat([]Reason{Refused}, int((s.end-s.start)/block)), nil
		}
		for n := range uint64(blocks) {
			w.left[(n+1)*block] = NotTried
		}
		got, err := w.run(t.Context(), []span{{block, (blocks + 1) * block}})
		left := map[Reason]int{}
		for _, reason := range w.left {
			left[reason]++
		}
		if len(left) == 0 {
			left = nil
		}
		if diff := cmp.Diff(test.left, left); err != nil || got != test.want || diff != "" {
			t.Errorf("%s: %s, %v: %s", name, got, err, diff)
		}
	}
}

// What the guest has not touched is not asked for, until it has.
func TestTouchedLater(t *testing.T) {
	untouched, asked := true, 0
	w := &worker{h: host.Host{Root: hosttest.Unpack(t, "one-node", "")}, size: block, left: map[uint64]Reason{block: NotTried, 2 * block: NotTried},
		call: func(_ context.Context, s span) error {
			asked += int((s.end - s.start) / block)
			return nil
		},
		state: func(s span) ([]Reason, error) {
			reasons := slices.Repeat([]Reason{Refused}, int((s.end-s.start)/block))
			if untouched && s.end == 3*block {
				reasons[len(reasons)-1] = Untouched
			}
			return reasons, nil
		},
		progress: func(int64, int64) { untouched = asked == 0 },
	}
	if got, err := w.run(t.Context(), []span{{block, 3 * block}}); err != nil || got != AllTried || len(w.left) > 0 || asked != 2 {
		t.Errorf("%s, %v; left %v, asked %d times", got, err, w.left, asked)
	}
}

func when(cond bool, errno syscall.Errno) error {
	if cond {
		return errno
	}
	return nil
}

func TestRefused(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		unix.EPERM: "process_madvise: operation not permitted; run vmhuge as root on the host; in a container or unit, seccomp, AppArmor or SELinux may forbid it (it needs CAP_SYS_NICE and CAP_SYS_PTRACE)",
		unix.ESRCH: errGone.Error(),
	} {
		if got := refused(errno).Error(); got != want {
			t.Errorf("%s", got)
		}
	}
	const old = "MADV_COLLAPSE: this kernel does not have it for other processes; boot Linux 6.1 or newer"
	for _, errno := range []syscall.Errno{unix.EINVAL, unix.ENOSYS} { // 5.10 to 6.0, and before
		if err := judgeSupport(errno); err == nil || err.Error() != old {
			t.Errorf("%v", err)
		}
	}
	q := &qemu{fd: -1}
	if err := q.supported(); err == nil {
		t.Error("without a process it is supported")
	}
	if _, err := within(t.Context(), 1, func() (int, error) { select {} }); !errors.Is(err, errNoAnswer) {
		t.Errorf("no answer: %v", err)
	}
}

func TestPagemapReason(t *testing.T) {
	for want, entries := range map[Reason][]uint64{
		Untouched: {0, 1 << 55, pagemapPresent | 42},
		Refused:   {0, pagemapPresent | 4711, 0},
		Swapped:   {pagemapPresent, 0, pagemapSwapped | 3},
	} {
		var text []byte
		for _, e := range entries {
			text = binary.NativeEndian.AppendUint64(text, e)
		}
		if got := pagemapReason(text, 42); got != want {
			t.Errorf("%x: %s, not %s", entries, got, want)
		}
	}
}

func TestRAM(t *testing.T) {
	const maps = `7f1c3ffff000-7f1c40000000 ---p 00000000 00:00 0
7f1c40000000-7f1c40800000 rw-p 00000000 00:00 0
7f1c40800000-7f1c41000000 rw-p 00000000 00:00 0
7f51d7fff000-7f51d87ff000 rw-s 00200000 00:01 1790                       /memfd:ram (deleted)
`
	ram, err := ramRanges(smaps.Parse(maps), []proof.RAMPart{{Address: "7f1c40000000", KiB: 16384, PageKiB: 4}, {Address: "7f51d7fff000", KiB: 8192, PageKiB: 4}}, 4)
	want := []ramRange{
		{span: span{0x7f1c40000000, 0x7f1c40800000}, mapped: 0x7f1c40000000},
		{span: span{0x7f1c40800000, 0x7f1c41000000}, mapped: 0x7f1c40800000},
		{span: span{0x7f51d7fff000, 0x7f51d87ff000}, mapped: 0x7f51d7fff000, offset: 0x200000, file: true},
	}
	if diff := cmp.Diff(want, ram, cmp.AllowUnexported(ramRange{}, span{})); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
	byNode := map[string]int64{}
	addNodes(byNode, `7f1c3ffff000 default anon=1 N0=1 kernelpagesize_kB=4
7f1c40000000 default anon=2048 dirty=2048 N0=1024 N1=1024 kernelpagesize_kB=4
7f1c40800000 bind:1 anon=2048 N1=2048 kernelpagesize_kB=4
nonsense N0=x
`, ram)
	if diff := cmp.Diff(map[string]int64{"0": 4096, "1": 12288}, byNode); diff != "" {
		t.Error(diff)
	}
	if got := mostly([]int32{-2, 1, 0, 1, -2}); got != 1 {
		t.Errorf("mostly on node %d", got)
	}
	if got := mostly([]int32{-2, -2}); got != -1 {
		t.Errorf("no pages on node %d", got)
	}
}
