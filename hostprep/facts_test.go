package hostprep

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

func TestFactsOfFixtures(t *testing.T) {
	type facts struct {
		Memory  Meminfo
		CPU     CPU
		Mounts  []string
		User    User
		Nodes   []int
		Daemon  string
		Default pages.Size
	}
	qemu := User{"libvirt-qemu", 64055, 107, []int{107, 64055}}
	memory := Meminfo{16384000 * 1024, 12288000 * 1024, pages.Size2MiB}
	x86 := CPU{Known: true, PSE: true, PDPE1GB: true}
	daemon := "500 2001-09-09T02:07:14Z" // btime and 1234.56 seconds
	one := facts{memory, x86, []string{"/dev/hugepages 2 MiB"}, qemu, []int{0}, daemon, pages.Size2MiB}
	with := func(change func(*facts)) facts { f := one; change(&f); return f }
	for name, want := range map[string]facts{
		"one-node":   one,
		"two-nodes":  with(func(f *facts) { f.Nodes = []int{0, 1} }),
		"node0-full": with(func(f *facts) { f.Nodes = []int{0, 1} }),
		"no-1g":      with(func(f *facts) { f.CPU.PDPE1GB = false }),
		"no-libvirt": with(func(f *facts) {
			f.Mounts, f.Daemon = nil, ""
			f.User = User{"root", 0, 0, []int{0}}
		}),
		"arm64-64k": with(func(f *facts) {
			f.CPU, f.Default, f.Mounts = CPU{}, 512*pages.Size(pages.MiB), []string{"/dev/hugepages 512 MiB"}
			f.Memory.HugePageSize = f.Default
		}),
	} {
		t.Run(name, func(t *testing.T) {
			h := Host{Root: fixture(t, name, "")}
			var got facts
			var errs [7]error
			got.Memory, errs[0] = h.Meminfo()
			got.CPU, errs[1] = h.CPU()
			mounts, err := h.Mounts()
			for _, m := range mounts {
				got.Mounts = append(got.Mounts, fmt.Sprint(m.Point, " ", m.Size))
			}
			errs[2] = err
			got.User, errs[3] = h.QEMUUser(QEMUConf{})
			nodes, err := h.Nodes()
			for _, n := range nodes {
				got.Nodes = append(got.Nodes, n.ID)
			}
			errs[4] = err
			if d, err := h.Daemon(); d != nil {
				got.Daemon = fmt.Sprint(d.PID, " ", d.Started.UTC().Format(time.RFC3339))
			} else {
				errs[5] = err
			}
			got.Default, errs[6] = h.DefaultPageSize("")
			if diff := cmp.Diff(want, got); diff != "" || errs != [7]error{} {
				t.Errorf("-want +got:\n%s%v", diff, errs)
			}
		})
	}
}

// The machine's own files are read by the same methods.
func TestFactsOfThisHost(t *testing.T) {
	h := Host{Root: hostfs.Root("/")}
	mem, err := h.Meminfo()
	if err != nil || mem.Total <= 0 || mem.Available <= 0 || mem.HugePageSize <= 0 {
		t.Errorf("memory is %+v, %v", mem, err)
	}
	if _, err := h.CPU(); err != nil {
		t.Error(err)
	}
	if _, err := h.Mounts(); err != nil {
		t.Error(err)
	}
	nodes, err := h.Nodes()
	if err != nil || len(nodes) == 0 || nodes[0].Total == 0 || nodes[0].Free == 0 || nodes[0].Cache == 0 {
		t.Errorf("nodes are %+v, %v", nodes, err)
	}
	if u, err := h.QEMUUser(QEMUConf{}); err != nil || len(u.Groups) == 0 {
		t.Errorf("the user is %+v, %v", u, err)
	}
	if u, err := h.user("daemon", "kvm"); err != nil || u.UID != 1 || !u.in(u.GID) {
		t.Errorf("daemon is %+v, %v", u, err)
	}
}

const rootMounts = "24 27 0:6 / /dev rw - devtmpfs devtmpfs rw\n27 1 254:0 / / rw - ext4 /dev/vda rw\n"

func TestMounts(t *testing.T) {
	for _, test := range []struct {
		name, lines string
		want        []Mount
	}{
		{"all options", `44 24 0:41 / /dev/huge\040pages rw shared:9 - hugetlbfs hugetlbfs rw,uid=64055,gid=107,mode=1770,nr_inodes=5,pagesize=1024M,size=4294967296,min_size=1073741824`,
			[]Mount{{Point: "/dev/huge pages", Size: pages.Size1GiB, Mode: 0o1770, UID: 64055, GID: 107, NrInodes: 5, SizeLimit: 4 << 30, MinSize: 1 << 30}}},
		{"kernel before pagesize was shown", `44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw`,
			[]Mount{{Point: "/dev/hugepages", Size: pages.Size2MiB, Mode: 0o755}}},
		{"no source", `44 24 0:41 / /dev/hugepages rw - hugetlbfs  rw,pagesize=2048K`,
			[]Mount{{Point: "/dev/hugepages", Size: pages.Size2MiB, Mode: 0o755}}},
		{"read-only by the mount", `44 24 0:41 / /dev/hugepages ro - hugetlbfs none rw,pagesize=2M`,
			[]Mount{{Point: "/dev/hugepages", Size: pages.Size2MiB, Mode: 0o755, ReadOnly: true}}},
		{"read-only by the file system", `44 24 0:41 / /dev/hugepages rw - hugetlbfs none ro,pagesize=2M`,
			[]Mount{{Point: "/dev/hugepages", Size: pages.Size2MiB, Mode: 0o755, ReadOnly: true}}},
		{"another on top", "44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n45 44 0:42 / /dev/hugepages rw - hugetlbfs none rw,pagesize=1024M", []Mount{
			{Point: "/dev/hugepages", Size: pages.Size2MiB, Mode: 0o755, Hidden: "hugetlbfs"},
			{Point: "/dev/hugepages", Size: pages.Size1GiB, Mode: 0o755}}},
		{"tmpfs on top", "44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n45 44 0:42 / /dev/hugepages rw - tmpfs none rw",
			[]Mount{{Point: "/dev/hugepages", Size: pages.Size2MiB, Mode: 0o755, Hidden: "tmpfs"}}},
		{"another /dev on top", "44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n45 24 0:42 / /dev rw - tmpfs none rw",
			[]Mount{{Point: "/dev/hugepages", Size: pages.Size2MiB, Mode: 0o755, Hidden: "tmpfs"}}},
		{"mounted below a folder that was mounted over", "44 27 0:41 / /mnt/a/b rw - hugetlbfs none rw,pagesize=2M\n45 27 0:42 / /mnt/a rw - tmpfs none rw",
			[]Mount{{Point: "/mnt/a/b", Size: pages.Size2MiB, Mode: 0o755, Hidden: "tmpfs"}}},
		{"a neighbour with a longer name", "44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n45 24 0:42 / /dev/hugepages1G rw - hugetlbfs none rw,pagesize=1024M", []Mount{
			{Point: "/dev/hugepages", Size: pages.Size2MiB, Mode: 0o755},
			{Point: "/dev/hugepages1G", Size: pages.Size1GiB, Mode: 0o755}}},
	} {
		h := Host{Root: hostfs.Root(t.TempDir())}
		writeFile(t, h.Root.Path("proc/self/mountinfo"), rootMounts+test.lines+"\n")
		writeFile(t, h.Root.Path("proc/meminfo"), "MemTotal: 1 kB\nHugepagesize: 2048 kB\n")
		got, err := h.Mounts()
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: -want +got:\n%s%v", test.name, diff, err)
		}
	}
	for _, bad := range []string{"44 24 0:41 / /dev rw hugetlbfs none rw\n", "a 24 0:41 / /dev rw - hugetlbfs none rw\n", "\n"} {
		if got, err := parseMountinfo(strings.NewReader(bad)); err == nil {
			t.Errorf("%q became %v", bad, got)
		}
	}
}

func TestQEMUConf(t *testing.T) {
	for text, want := range map[string]QEMUConf{
		"": {},
		"# user = \"x\"\n\nuser=\"qemu\"# so\n group = 'kvm'\n": {User: "qemu", Group: "kvm"},
		"user = \"+64055\"":                      {User: "+64055"},
		"hugetlbfs_mount = \"/dev/hugepages\"\n": {HugetlbfsMounts: []string{"/dev/hugepages"}},
		"hugetlbfs_mount = \"\"\n":               {HugetlbfsMounts: []string{""}},
		"hugetlbfs_mount = []\n":                 {HugetlbfsMounts: []string{}},
		"hugetlbfs_mount = [\n  \"/a\", # one\n\n  \"/b # c\"\n]\nuser='u'":  {User: "u", HugetlbfsMounts: []string{"/a", "/b # c"}},
		"hugetlbfs_mount = [\"/a\",]":                                        {HugetlbfsMounts: []string{"/a"}},
		"max_files = 32768\nnum = -1\nx = \"\"\"a\nb\"\"\"\nuser = \"u\"\n":  {User: "u"},
		"cgroup_device_acl = [\n \"/dev/null\", \"/dev/kvm\"\n]\nuser=\"u\"": {User: "u"},
	} {
		got, err := parseQEMUConf(strings.NewReader(text))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: -want +got:\n%s%v", text, diff, err)
		}
	}
	for text, line := range map[string]string{
		"\nuser\n": "line 2", "user = \n": "line 1", "user = \"a\nb\"": "line 1", "user = \"a\" \"b\"": "line 1",
		"a = [\"b\" \"c\"]": "line 1", "a = [\n\"b\"\n": "line 3", "= 1": "line 1", "a = x": "line 1",
	} {
		if got, err := parseQEMUConf(strings.NewReader(text)); err == nil || !strings.HasPrefix(err.Error(), line+":") {
			t.Errorf("%q became %v, %v; want an error in %s", text, got, err, line)
		}
	}
}

// What libvirt 9.0 was seen to do; FuzzQEMUConf has more forms.
func TestDefaultPageSize(t *testing.T) {
	const (
		two = "44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n"
		big = "45 24 0:42 / /dev/hugepages1G rw - hugetlbfs none rw,pagesize=1024M\n"
	)
	for _, test := range []struct {
		mounts, conf string
		want         pages.Size
	}{
		{two + big, "", pages.Size2MiB},
		{big + two, "", pages.Size2MiB},
		{big, "", pages.Size1GiB},
		{"", "", pages.Size2MiB},
		{two + big, `hugetlbfs_mount = "/dev/hugepages1G"`, pages.Size1GiB},
		{two + big, `hugetlbfs_mount = ["/dev/hugepages", "/dev/hugepages1G"]`, pages.Size1GiB},
		{two + big, `hugetlbfs_mount = ["/dev/hugepages1G", "/dev/hugepages"]`, pages.Size2MiB},
		{two + big, `hugetlbfs_mount = "/dev/hugepages1G/alice"`, pages.Size1GiB},
		{two + big, `hugetlbfs_mount = []`, pages.Size2MiB},
	} {
		h := Host{Root: hostfs.Root(t.TempDir())}
		writeFile(t, h.Root.Path("proc/self/mountinfo"), rootMounts+test.mounts)
		writeFile(t, h.Root.Path("proc/meminfo"), "MemTotal: 1 kB\nHugepagesize: 2048 kB\n")
		writeFile(t, h.Root.Path("etc/libvirt/qemu.conf"), test.conf)
		if got, err := h.DefaultPageSize(""); err != nil || got != test.want {
			t.Errorf("%s with\n%sis %s, %v; want %s", test.conf, test.mounts, got, err, test.want)
		}
	}
}

func TestQEMUUser(t *testing.T) {
	for _, test := range []struct {
		user, group string
		want        User
	}{
		{"", "", User{"libvirt-qemu", 64055, 107, []int{107, 64055}}},
		{"alice", "", User{"alice", 1000, 1000, []int{1000, 107}}},
		{"alice", "libvirt-qemu", User{"alice", 1000, 64055, []int{1000, 107, 64055}}},
		{"+1000", "+5", User{"alice", 1000, 5, []int{1000, 107, 5}}},
		{"1000", "", User{"alice", 1000, 1000, []int{1000, 107}}},
		{"+77", "", User{"+77", 77, 77, []int{77}}},
		{"+0", "", User{"root", 0, 0, []int{0}}},
	} {
		got, err := Host{Root: fixture(t, "one-node", "")}.QEMUUser(QEMUConf{User: test.user, Group: test.group})
		slices.Sort(got.Groups[1:])
		slices.Sort(test.want.Groups[1:])
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s:%s: -want +got:\n%s%v", test.user, test.group, diff, err)
		}
	}
	for _, bad := range []QEMUConf{{User: "nobody-there"}, {User: "alice", Group: "nothing"}} {
		if got, err := (Host{Root: fixture(t, "one-node", "")}).QEMUUser(bad); err == nil {
			t.Errorf("%+v became %+v", bad, got)
		}
	}
}

func TestDaemonIsNoOtherProcess(t *testing.T) {
	for name, edit := range map[string]string{
		"ended":          "-- run/libvirt/qemu/driver.pid --\n501\n",
		"pid used again": "-- proc/500/comm --\nbash\n",
		"empty file":     "-- run/libvirt/qemu/driver.pid --\n\n",
		"none":           "-- run/libvirt/qemu/driver.pid --\n",
	} {
		if d, err := (Host{Root: fixture(t, "one-node", edit)}).Daemon(); d != nil || err != nil {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}
