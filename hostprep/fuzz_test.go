package hostprep

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"vmhuge/internal/pages"
)

// addFixtures seeds a target with one file of every fixture host.
func addFixtures(f *testing.F, path string) {
	names, err := os.ReadDir("testdata/hosts")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		archive, err := txtar.ParseFile("testdata/hosts/" + name.Name())
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if file.Name == path {
				f.Add(string(file.Data))
			}
		}
	}
}

func FuzzMountinfo(f *testing.F) {
	addFixtures(f, "proc/self/mountinfo")
	f.Add(`44 44 0:41 / /dev/huge\040pages\1 ro - hugetlbfs  rw,uid=1,gid=107,mode=1770,nr_inodes=5,pagesize=1024M,size=1,min_size=2`)
	f.Add("1 2 0:41 / / rw - a b c\n2 1 0:41 / / rw - a b c\n1 2 0:41 / / rw - a b c\n")
	f.Fuzz(func(t *testing.T, text string) {
		mounts, err := parseMountinfo(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, m := range mounts {
			if at := mountAt(mounts, m.point); at >= len(mounts) || at >= 0 && !within(m.point, mounts[at].point) {
				t.Errorf("%s lies on mount %d", m.point, at)
			}
			mount, err := m.hugetlbfs()
			if err != nil || mount.Size == 0 {
				continue
			}
			// What is written of a mount is read as the same mount.
			again, err := mountLine{point: m.point, flags: m.flags, options: strings.Split(mount.options(), ",")}.hugetlbfs()
			again.ReadOnly = mount.ReadOnly
			if diff := cmp.Diff(mount, again); err != nil || diff != "" {
				t.Errorf("%s: %s%v", mount.options(), diff, err)
			}
		}
	})
}

func FuzzMeminfo(f *testing.F) {
	addFixtures(f, "proc/meminfo")
	addFixtures(f, "sys/devices/system/node/node0/meminfo")
	f.Fuzz(func(t *testing.T, text string) {
		kib, err := parseMeminfo(strings.NewReader(text))
		for name, n := range kib {
			if err == nil && (n < 0 || n*pages.KiB < n) {
				t.Errorf("%s is %d", name, n)
			}
		}
	})
}

func FuzzCPUInfo(f *testing.F) {
	addFixtures(f, "proc/cpuinfo")
	f.Fuzz(func(t *testing.T, text string) {
		cpu, err := parseCPUInfo(strings.NewReader(text))
		if err == nil && !cpu.Known && (cpu.PSE || cpu.PDPE1GB) {
			t.Errorf("%+v", cpu)
		}
	})
}

func FuzzBootTime(f *testing.F) {
	addFixtures(f, "proc/stat")
	f.Fuzz(func(t *testing.T, text string) {
		if boot, err := parseBootTime(strings.NewReader(text)); err == nil && !strings.Contains(text, "btime") {
			t.Errorf("%v", boot)
		}
	})
}

func FuzzQEMUConf(f *testing.F) {
	f.Add("# x\nuser = \"qemu\"\ngroup='kvm' # y\nnum = -1\nhugetlbfs_mount = [\n \"/dev/hugepages\", # a\n \"/dev/hugepages1G\",\n]\n")
	f.Add("a = \"\"\"b\nc\"\"\"\nhugetlbfs_mount = \"\"\nuser = [\"a\"]\n")
	f.Fuzz(func(t *testing.T, text string) {
		conf, err := parseQEMUConf(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, value := range append([]string{conf.User, conf.Group}, conf.HugetlbfsMounts...) {
			if !strings.Contains(text, value) {
				t.Errorf("%q came of nothing", value)
			}
		}
	})
}

func FuzzAccounts(f *testing.F) {
	addFixtures(f, "etc/passwd")
	addFixtures(f, "etc/group")
	f.Add("+::::::\n#x:x:1:\na:x:-1:\nb:x:4294967295:c,,d\n")
	f.Fuzz(func(t *testing.T, text string) {
		accounts, err := parseAccounts(strings.NewReader(text))
		for _, a := range accounts {
			if err == nil && (a.name == "" || a.id < 0 || a.gid < 0) {
				t.Errorf("%+v", a)
			}
		}
	})
}

func FuzzJournal(f *testing.F) {
	f.Add(`{"version":1,"changes":[{"kind":"chmod","path":"/dev/hugepages/libvirt","from":"0700","to":"0711","boot":"4f0"}]}`)
	f.Add(`{"version":2,"changes":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		records, err := parseJournal([]byte(text))
		if err != nil {
			return
		}
		again, err := json.Marshal(journalText{journalVersion, records})
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseJournal(again)
		if diff := cmp.Diff(records, back); err != nil || diff != "" {
			t.Errorf("%s: %s%v", again, diff, err)
		}
	})
}
