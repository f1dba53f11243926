package check

import (
	"fmt"
	"strings"
	"testing"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/journal"
	"vmhuge/internal/pages"
)

const (
	thpSys = "sys/kernel/mm/transparent_hugepage/"
	// As Linux 6.18 comes, and 3 GiB free in one piece.
	thpHost = "-- " + thpSys + "enabled --\nalways [madvise] never\n-- " + thpSys + "defrag --\nalways defer defer+madvise [madvise] never\n" +
		"-- " + thpSys + "shmem_enabled --\nalways within_size advise [never] deny force\n-- " + thpSys + "hpage_pmd_size --\n2097152\n" +
		"-- " + thpSys + "hugepages-2048kB/enabled --\nalways [inherit] madvise never\n" +
		"-- " + thpSys + "khugepaged/defrag --\n1\n-- " + thpSys + "khugepaged/pages_to_scan --\n4096\n-- " + thpSys + "khugepaged/scan_sleep_millisecs --\n10000\n" +
		"-- proc/buddyinfo --\nNode 0, zone   Normal   1   1   1   1   1   1   1   1   1   1   768\n"
)

func TestCheckTHP(t *testing.T) {
	ask := func(t *testing.T, edit string, g hostprep.Guest) (hostprep.Verdict, string) {
		t.Helper()
		g.Demand.Domain, g.Demand.Backing = "web1", pages.THP
		findings := Run(host.Host{Root: hosttest.Unpack(t, "one-node", thpHost+edit)}, g)
		got := ""
		for _, f := range findings {
			got += fmt.Sprintf("%s %s %v: %s; %s; %s\n", f.Check, f.Severity, f.Fixable, f.Have, f.Need, f.Do)
			for _, c := range f.Changes {
				got += "  " + c.String() + "\n"
			}
		}
		verdict, _, _ := hostprep.Conclude(findings)
		return verdict, strings.TrimSpace(got)
	}
	ram := func(mib int64) hostprep.Guest {
		return hostprep.Guest{Demand: pages.Demand{Backends: []pages.Backend{{Kind: pages.RAM, MemoryKiB: mib * 1024}, {Kind: pages.VirtioMem, MemoryKiB: 1 << 40}}}}
	}
	shared := ram(96)
	shared.Demand.Shared = true
	ibm := ram(96)
	ibm.Traits.Arch = "s390x"
	partly := shared
	partly.Demand.PartlyShared = true
	const echo = "echo %s > /" + thpSys + "%s (was %s)"
	for _, test := range []struct {
		name, edit string
		guest      hostprep.Guest
		verdict    hostprep.Verdict
		want       string
	}{
		{name: "all well", guest: ram(96)},
		{name: "always", edit: "-- " + thpSys + "enabled --\n[always] madvise never\n", guest: ram(96)},
		{name: "off", edit: "-- " + thpSys + "enabled --\nalways madvise [never]\n", guest: ram(96), verdict: hostprep.BadHost,
			want: "thp blocker true: transparent huge pages are off: enabled is never; madvise or always; vmhuge start sets madvise\n  " + fmt.Sprintf(echo, "madvise", "enabled", "never")},
		{name: "off for this size alone", edit: "-- " + thpSys + "hugepages-2048kB/enabled --\nalways inherit madvise [never]\n", guest: ram(96), verdict: hostprep.BadHost,
			want: "thp blocker true: transparent huge pages are off: hugepages-2048kB/enabled is never; madvise or always; vmhuge start sets madvise\n  " + fmt.Sprintf(echo, "madvise", "hugepages-2048kB/enabled", "never")},
		{name: "on for this size alone", edit: "-- " + thpSys + "enabled --\nalways madvise [never]\n-- " + thpSys + "hugepages-2048kB/enabled --\nalways inherit [madvise] never\n", guest: ram(96)},
		{name: "a kernel without", edit: "-- " + thpSys + "enabled --\n-- " + thpSys + "hugepages-2048kB/enabled --\n", guest: ram(96), verdict: hostprep.BadHost,
			want: "thp blocker false: the kernel has no transparent huge pages; a kernel with CONFIG_TRANSPARENT_HUGEPAGE; use reserved pages: vmhuge enable --size 2M web1"},
		{name: "no compaction", edit: "-- " + thpSys + "defrag --\nalways [defer] defer+madvise madvise never\n-- " + thpSys + "khugepaged/defrag --\n0\n", guest: ram(96),
			want: "thp warning false: defrag is defer: where memory is fragmented, the guest starts on small pages; madvise, so that the kernel compacts memory for guests that ask for it; " +
				fmt.Sprintf(echo, "madvise", "defrag", "defer") + "\n  " + fmt.Sprintf(echo, "madvise", "defrag", "defer") +
				"\nthp warning false: khugepaged/defrag is 0: small pages stay small where memory is fragmented; 1; " + fmt.Sprintf(echo, "1", "khugepaged/defrag", "0") + "\n  " + fmt.Sprintf(echo, "1", "khugepaged/defrag", "0")},
		{name: "a kernel without, on s390x", edit: "-- " + thpSys + "enabled --\n-- " + thpSys + "hugepages-2048kB/enabled --\n-- pools --\nall 1024 0 0 0 0 0\n0 1024 0 0 0\n", guest: ibm, verdict: hostprep.BadHost,
			want: "thp blocker false: the kernel has no transparent huge pages; a kernel with CONFIG_TRANSPARENT_HUGEPAGE; use reserved pages: vmhuge enable --size 1M web1"},
		{name: "shared", guest: shared,
			want: "thp warning false: its memory is shared, which QEMU 7.2 aligns to 4 KiB: no transparent huge page fits; private memory, or reserved pages; vmhuge enable --size 2M --source memfd web1" +
				"\nthp warning false: shmem_enabled is never: shared memory gets none even where it is aligned; advise; " + fmt.Sprintf(echo, "advise", "shmem_enabled", "never") + "\n  " + fmt.Sprintf(echo, "advise", "shmem_enabled", "never")},
		{name: "shared in part", guest: partly, edit: "-- " + thpSys + "shmem_enabled --\nalways within_size [advise] never deny force\n",
			want: "thp warning false: a part of its memory is shared, which QEMU 7.2 aligns to 4 KiB: no transparent huge page fits; private memory, or reserved pages; vmhuge enable --size 2M --source memfd web1"},
		{name: "more than khugepaged gets through", guest: ram(2048),
			want: "thp note false: khugepaged scans 16 MiB every 10s, and 2 GiB in 21m0s; less than 10m0s, in case the guest starts on small pages; " +
				fmt.Sprintf(echo, "17476", "khugepaged/pages_to_scan", "4096") + "\n  " + fmt.Sprintf(echo, "17476", "khugepaged/pages_to_scan", "4096")},
		{name: "fragmented", edit: "-- proc/buddyinfo --\nNode 0, zone   Normal   1   1   1   1   1   1   1   1   1   7   1\n", guest: ram(96),
			want: "thp note false: 9 blocks of 2 MiB are free in one piece; 48, or time for the kernel to form them; vmhuge verify --wait shows the progress"},
		{name: "no memory", edit: "-- " + thpSys + "khugepaged/scan_sleep_millisecs --\n0\n", guest: ram(14336), verdict: hostprep.Unknown,
			want: "thp warning false: 11.7 GiB of ordinary memory is available; 14 GiB, all of it allocated at start; stop a guest, or use less memory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.verdict == "" {
				test.verdict = hostprep.Ready
			}
			if verdict, got := ask(t, test.edit, test.guest); verdict != test.verdict || got != test.want {
				t.Errorf("%s, not %s:\n%s\nnot\n%s", verdict, test.verdict, got, test.want)
			}
		})
	}
}

// What start mends is undone by undo.
func TestMendTHP(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", thpHost+"-- "+thpSys+"enabled --\nalways madvise [never]\n")}
	g := hostprep.Guest{Demand: pages.Demand{Backing: pages.THP, Backends: []pages.Backend{{Kind: pages.RAM, MemoryKiB: 1}}}}
	hosttest.Must(t, journal.Journal{Host: h}.Apply(hostprep.Fixes(Run(h, g))))
	if thp, err := h.THP(); err != nil || thp.Enabled != "madvise" {
		t.Errorf("mended: %+v, %v", thp, err)
	}
	if undone, left, err := (journal.Journal{Host: h}).Undo(); err != nil || len(undone) != 1 || len(left) > 0 {
		t.Errorf("undone %v, left %v, %v", undone, left, err)
	}
	if thp, err := h.THP(); err != nil || thp.Enabled != "never" {
		t.Errorf("undone: %+v, %v", thp, err)
	}
}
