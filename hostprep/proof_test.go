package hostprep

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What the kernel shows of a guest of 64 MiB on 2 MiB pages, 20 of them on
// node 0, with a page of TCG's code buffer and a stack beside.
const (
	provenStatus = "Name:\tqemu-system-x86\nVmRSS:\t   50876 kB\nHugetlbPages:\t   65536 kB\nThreads:\t5\n"
	provenMaps   = `7f2e00000000 default file=/dev/hugepages/libvirt/qemu/1-web1/qemu_back_mem.pc.ram.GZiUff\040(deleted) huge anon=32 dirty=32 N0=20 N1=12 kernelpagesize_kB=2048
7f2e40000000 default anon=512 dirty=512 active=0 N0=512 kernelpagesize_kB=4
7ffd1c0f2000 default stack anon=5 dirty=5 N0=5 kernelpagesize_kB=4
`
	provenSmaps = `7f1c40000000-7f1c80000000 rw-p 00000000 00:00 0
Size:            1048576 kB
AnonHugePages:    524288 kB
VmFlags: rd wr mr mw me ac sd hg
7f1c90000000-7f1cd0000000 rwxp 00000000 00:00 0
AnonHugePages:      2048 kB
7f1ce0000000-7f1cf0000000 rw-s 00000000 00:01 7 /memfd:memory-backend-memfd (deleted)
ShmemPmdMapped:   131072 kB
`
)

func TestProve(t *testing.T) {
	const none = "-- proc/42/status --\nHugetlbPages:\t0 kB\n-- proc/42/smaps --\n" + provenSmaps
	for name, test := range map[string]struct {
		files string
		ram   int64
		want  Proof
	}{
		"all": {"-- proc/42/status --\n" + provenStatus + "-- proc/42/numa_maps --\n" + provenMaps, 65536,
			Proof{HugetlbKiB: map[string]int64{"2048": 65536}, ByNode: map[string]int64{"0": 40960, "1": 24576}, BackedPercent: 100, Verdict: AllHuge}},
		"the last page is half empty": {"-- proc/42/status --\n" + provenStatus + "-- proc/42/numa_maps --\n" + provenMaps, 64512,
			Proof{HugetlbKiB: map[string]int64{"2048": 65536}, ByNode: map[string]int64{"0": 40960, "1": 24576}, BackedPercent: 100, Verdict: AllHuge}},
		"partly": {"-- proc/42/status --\n" + provenStatus + "-- proc/42/numa_maps --\n" + provenMaps + "-- proc/42/smaps --\nSize: 4 kB\n", 131072,
			Proof{HugetlbKiB: map[string]int64{"2048": 65536}, ByNode: map[string]int64{"0": 40960, "1": 24576}, SmallKiB: 65536, BackedPercent: 50, Verdict: Partly}},
		"one page too few is not 100 %": {"-- proc/42/status --\n" + provenStatus + "-- proc/42/numa_maps --\n" + provenMaps + "-- proc/42/smaps --\nSize: 4 kB\n", 65540,
			Proof{HugetlbKiB: map[string]int64{"2048": 65536}, ByNode: map[string]int64{"0": 40960, "1": 24576}, SmallKiB: 4, BackedPercent: 99.9, Verdict: Partly}},
		"transparent": {none, 1048576, Proof{HugetlbKiB: map[string]int64{}, ByNode: map[string]int64{}, THPKiB: 655360, SmallKiB: 393216, BackedPercent: 62.5, Verdict: Partly}},
		"none": {"-- proc/42/status --\nHugetlbPages:\t0 kB\n-- proc/42/smaps --\nSize: 4 kB\n", 65536,
			Proof{HugetlbKiB: map[string]int64{}, ByNode: map[string]int64{}, SmallKiB: 65536, Verdict: NoHuge}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := fixture(t, "one-node", test.files).Prove(42, test.ram)
			test.want.RAMKiB, test.want.Evidence = test.ram, got.Evidence
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" || len(got.Evidence) < 2 {
				t.Errorf("%v, from %v: -want +got:\n%s", err, got.Evidence, diff)
			}
		})
	}
	for name, files := range map[string]string{
		"no such process":        "",
		"no hugetlb at all":      "-- proc/42/status --\nName:\tqemu\n",
		"the files do not agree": "-- proc/42/status --\nHugetlbPages:\t4096 kB\n-- proc/42/numa_maps --\n" + provenMaps,
	} {
		if proof, err := fixture(t, "one-node", files).Prove(42, 65536); err == nil {
			t.Errorf("%s: %+v", name, proof)
		}
	}
}

func TestTHP(t *testing.T) {
	const dir = "sys/kernel/mm/transparent_hugepage/"
	got, err := fixture(t, "one-node", "-- "+dir+"enabled --\nalways [madvise] never\n-- "+dir+"defrag --\nalways defer defer+madvise [madvise] never\n").THP()
	if err != nil || got != (THP{Enabled: "madvise", Defrag: "madvise"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := fixture(t, "no-libvirt", "").THP(); err != nil || got != (THP{}) {
		t.Errorf("a kernel without: %+v, %v", got, err)
	}
}

func FuzzProof(f *testing.F) {
	f.Add(provenStatus)
	f.Add(provenMaps)
	f.Add(provenSmaps)
	f.Add("always [madvise] never")
	f.Add("HugetlbPages: -4 kB")
	f.Add("0 default huge N-1=1 kernelpagesize_kB=2048")
	f.Fuzz(func(t *testing.T, text string) {
		if kib, err := parseStatusHugetlb(strings.NewReader(text)); err == nil && kib < 0 {
			t.Errorf("%d KiB of hugetlb pages", kib)
		}
		for _, m := range parseNumaMaps(strings.NewReader(text)) {
			for node, n := range m.pages {
				if n < 0 || node < 0 || m.sizeKiB < 0 {
					t.Errorf("%d pages of %d KiB on node %d", n, m.sizeKiB, node)
				}
			}
		}
		if kib := parseSmapsTHP(strings.NewReader(text)); kib < 0 {
			t.Errorf("%d KiB of transparent huge pages", kib)
		}
		if word := parseChoice(text); strings.Contains(word, "]") {
			t.Errorf("the choice is %q", word)
		}
	})
}
