package libvirtd

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/process"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

func TestFactsOfFixtures(t *testing.T) {
	type facts struct {
		Memory  host.Meminfo
		CPU     host.CPU
		Mounts  []string
		User    host.User
		Nodes   []int
		Daemon  string
		Default pages.Size
	}
	qemu := host.User{Name: "libvirt-qemu", UID: 64055, GID: 107, Groups: []int{107, 64055}}
	memory := host.Meminfo{Total: 16384000 * 1024, Available: 12288000 * 1024, HugePageSize: pages.Size2MiB}
	x86 := host.CPU{Known: true, PSE: true, PDPE1GB: true}
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
			f.User = host.User{Name: "root", UID: 0, GID: 0, Groups: []int{0}}
		}),
		"arm64-64k": with(func(f *facts) {
			f.CPU, f.Default, f.Mounts = host.CPU{}, 512*pages.Size(pages.MiB), []string{"/dev/hugepages 512 MiB"}
			f.Memory.HugePageSize = f.Default
		}),
	} {
		t.Run(name, func(t *testing.T) {
			h := host.Host{Root: hosttest.Unpack(t, name, "")}
			var got facts
			var errs [7]error
			got.Memory, errs[0] = h.Meminfo()
			got.CPU, errs[1] = h.CPU()
			mounts, err := h.Mounts()
			for _, m := range mounts {
				got.Mounts = append(got.Mounts, fmt.Sprint(m.Point, " ", m.Size))
			}
			errs[2] = err
			got.User, errs[3] = QEMUUser(h, QEMUConf{})
			nodes, err := h.Nodes()
			for _, n := range nodes {
				got.Nodes = append(got.Nodes, n.ID)
			}
			errs[4] = err
			if d, err := ReadDaemon(h); d != nil {
				got.Daemon = fmt.Sprint(d.PID, " ", d.Started.UTC().Format(time.RFC3339))
			} else {
				errs[5] = err
			}
			got.Default, errs[6] = DefaultPageSize(h, "")
			if diff := cmp.Diff(want, got); diff != "" || errs != [7]error{} {
				t.Errorf("-want +got:\n%s%v", diff, errs)
			}
		})
	}
}

// The machine's own files are read by the same methods.
func TestFactsOfThisHost(t *testing.T) {
	h := host.Host{Root: hostfs.Root("/")}
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
	if u, err := QEMUUser(h, QEMUConf{}); err != nil || len(u.Groups) == 0 {
		t.Errorf("the user is %+v, %v", u, err)
	}
	if u, err := h.User("daemon", "kvm"); err != nil || u.UID != 1 || !u.In(u.GID) {
		t.Errorf("daemon is %+v, %v", u, err)
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
		"cgroup_device_acl = [\n \"/dev/null\", \"/dev/kvm\"\n]\nuser=\"u\"": {User: "u", DeviceACL: []string{"/dev/null", "/dev/kvm"}},
	} {
		got, err := ParseQEMUConf(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: -want +got:\n%s%v", text, diff, err)
		}
	}
	for text, line := range map[string]string{
		"\nuser\n": "line 2", "user = \n": "line 1", "user = \"a\nb\"": "line 1", "user = \"a\" \"b\"": "line 1",
		"a = [\"b\" \"c\"]": "line 1", "a = [\n\"b\"\n": "line 3", "= 1": "line 1", "a = x": "line 1",
		"a = 1\nuser = 107": "line 2", "group = ['kvm']": "line 1", "hugetlbfs_mount = 0": "line 1", "security_driver = ['none', 1]": "line 1",
		"namespaces = 'mount'": "line 1",
	} {
		if got, err := ParseQEMUConf(text); err == nil || !strings.HasPrefix(err.Error(), line+":") {
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
		h := host.Host{Root: hostfs.Root(t.TempDir())}
		hosttest.WriteFile(t, h.Root.Path("proc/self/mountinfo"), hosttest.RootMounts+test.mounts)
		hosttest.WriteFile(t, h.Root.Path("proc/meminfo"), "MemTotal: 1 kB\nHugepagesize: 2048 kB\n")
		hosttest.WriteFile(t, h.Root.Path("etc/libvirt/qemu.conf"), test.conf)
		if got, err := DefaultPageSize(h, ""); err != nil || got != test.want {
			t.Errorf("%s with\n%sis %s, %v; want %s", test.conf, test.mounts, got, err, test.want)
		}
	}
}

func TestQEMUUser(t *testing.T) {
	for _, test := range []struct {
		user, group string
		want        host.User
	}{
		{"", "", host.User{Name: "libvirt-qemu", UID: 64055, GID: 107, Groups: []int{107, 64055}}},
		{"alice", "", host.User{Name: "alice", UID: 1000, GID: 1000, Groups: []int{1000, 107}}},
		{"alice", "libvirt-qemu", host.User{Name: "alice", UID: 1000, GID: 64055, Groups: []int{1000, 107, 64055}}},
		{"+1000", "+5", host.User{Name: "alice", UID: 1000, GID: 5, Groups: []int{1000, 107, 5}}},
		{"1000", "", host.User{Name: "alice", UID: 1000, GID: 1000, Groups: []int{1000, 107}}},
		{"+77", "", host.User{Name: "+77", UID: 77, GID: 77, Groups: []int{77}}},
		{"+0", "", host.User{Name: "root", UID: 0, GID: 0, Groups: []int{0}}},
	} {
		got, err := QEMUUser(host.Host{Root: hosttest.Unpack(t, "one-node", "")}, QEMUConf{User: test.user, Group: test.group})
		slices.Sort(got.Groups[1:])
		slices.Sort(test.want.Groups[1:])
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s:%s: -want +got:\n%s%v", test.user, test.group, diff, err)
		}
	}
	for _, bad := range []QEMUConf{{User: "nobody-there"}, {User: "alice", Group: "nothing"}} {
		if got, err := QEMUUser((host.Host{Root: hosttest.Unpack(t, "one-node", "")}), bad); err == nil {
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
		"a user's":       "-- modes --\nproc/500 0555 65534:65534\n",
		"su by its name": "-- proc/500/cmdline --\n/usr/bin/su\x00",
	} {
		if d, err := ReadDaemon((host.Host{Root: hosttest.Unpack(t, "one-node", edit)})); d != nil || err != nil {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// TestAbove finds who has a hook called, whatever scripts are between.
func TestAbove(t *testing.T) {
	root := hosttest.Unpack(t, "one-node", "")
	run := func(pid, parent int, name string) {
		hosttest.WriteFile(t, root.Path(fmt.Sprintf("proc/%d/comm", pid)), name+"\n")
		hosttest.WriteFile(t, root.Path(fmt.Sprintf("proc/%d/stat", pid)), fmt.Sprintf("%d (%s) S %d 1 1 0 -1 1 1 1 1 1 1 1 1 1 20 0 1 0 %d 1 1\n", pid, name, parent, pid*10))
	}
	run(1, 0, "systemd")
	run(600, 1, "libvirtd")
	run(700, 600, "qemu")
	run(701, 700, "sh) S 5 (x")
	run(800, 1, "virtqemud")
	run(801, 800, "hook.py")
	run(900, 1, "virt-qemu-run")
	run(950, 951, "sh")
	run(951, 950, "sh")     // as pids that are used again may look
	run(970, 1, "libvirtd") // a user's
	hosttest.Must(t, os.Chown(root.Path("proc/970"), 1000, 1000))
	run(971, 970, "sudo")
	for pid, want := range map[int]int{600: 600, 700: 600, 701: 600, 801: 800, 900: 1, 950: 1, 971: 1, 4242: 1, 1: 1} {
		if got, err := Above(host.Host{Root: root}, pid); err != nil || got != (process.Process{PID: want, Start: uint64(want) * 10}) {
			t.Errorf("%d: %+v, %v", pid, got, err)
		}
	}
}
