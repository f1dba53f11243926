package host

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

func FuzzMountinfo(f *testing.F) {
	hosttest.AddSeeds(f, "proc/self/mountinfo")
	f.Add(`44 44 0:41 / /dev/huge\040pages\1 ro - hugetlbfs  rw,uid=1,gid=107,mode=1770,nr_inodes=5,pagesize=1024M,size=1,min_size=2`)
	f.Add("1 2 0:41 / / rw - a b c\n2 1 0:41 / / rw - a b c\n1 2 0:41 / / rw - a b c\n")
	f.Fuzz(func(t *testing.T, text string) {
		mounts, err := parseMountinfo(text)
		if err != nil {
			return
		}
		for _, m := range mounts {
			if at := MountAt(mounts, m.Point); at >= len(mounts) || at >= 0 && !Within(m.Point, mounts[at].Point) {
				t.Errorf("%s is on mount %d", m.Point, at)
			}
			mount, err := m.hugetlbfs()
			if err != nil || mount.Size == 0 {
				continue
			}
			// What is written of a mount is read as the same mount.
			again, err := MountLine{Point: m.Point, Flags: m.Flags, Options: MountOptions(mount.Options())}.hugetlbfs()
			again.ReadOnly = mount.ReadOnly
			if diff := cmp.Diff(mount, again); err != nil || diff != "" {
				t.Errorf("%s: %s%v", mount.Options(), diff, err)
			}
		}
	})
}

func FuzzMeminfo(f *testing.F) {
	hosttest.AddSeeds(f, "proc/meminfo")
	hosttest.AddSeeds(f, "sys/devices/system/node/node0/meminfo")
	f.Fuzz(func(t *testing.T, text string) {
		kib, err := ParseMeminfo(strings.NewReader(text))
		for name, n := range kib {
			if err == nil && (n < 0 || n*pages.KiB < n) {
				t.Errorf("%s is %d", name, n)
			}
		}
	})
}

func FuzzCPUInfo(f *testing.F) {
	hosttest.AddSeeds(f, "proc/cpuinfo")
	f.Fuzz(func(t *testing.T, text string) {
		cpu, err := parseCPUInfo(strings.NewReader(text))
		if err == nil && !cpu.Known && (cpu.PSE || cpu.PDPE1GB) {
			t.Errorf("%+v", cpu)
		}
	})
}

func FuzzAccounts(f *testing.F) {
	hosttest.AddSeeds(f, "etc/passwd")
	hosttest.AddSeeds(f, "etc/group")
	f.Add("+::::::\n#x:x:1:\na:x:-1:\nb:x:4294967295:c,,d\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range ParseAccounts(text) {
			if a.Name == "" || a.Id < 0 || a.gid < 0 {
				t.Errorf("%+v", a)
			}
		}
	})
}
