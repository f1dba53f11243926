package hostpage

import (
	"errors"
	"os"
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// Guests alone are no note; another program, pages of nobody and an idle pool are.
func TestPoolNotes(t *testing.T) {
	process := func(pid, name, kib string) string {
		return "-- proc/" + pid + "/status --\nName:\t" + name + "\nHugetlbPages:\t " + kib + " kB\n"
	}
	nobody := process("600", "qemu-system-x86", "2048")
	hidepid := "-- proc/self/mountinfo --\n20 1 0:20 / /proc rw,nosuid - proc proc rw,hidepid=invisible\n30 1 0:30 / /dev/hugepages rw - hugetlbfs hugetlbfs rw,pagesize=2M\n-- proc/self/status --\nCapEff:\t"
	idle := "-- pools --\nall 2048 64 64 0 0 0\n0 2048 64 64 0\n"
	// As after the hook, and once a guest that moves in has given up what it had at first.
	starting := "-- proc/sys/kernel/random/boot_id --\n1111\n-- run/vmhuge/claims/6695eb01-f6a4-8304-79aa-97f2502e193f.starting --\n" +
		`{"version":1,"boot_id":"1111","uuid":"6695eb01-f6a4-8304-79aa-97f2502e193f","name":"web1","owner":{"pid":1,"start":2},"takes":[{"page_size_kib":2048,"pages":64}],"grants":[]}` +
		"\n-- proc/1/stat --\n1 (systemd) S 0 1 1 0 -1 1 1 1 1 1 1 1 1 1 20 0 1 0 2 1 1\n"
	waits := "-- pools --\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n-- run/vmhuge/writing-1048576kB.json --\n" +
		`{"pid":4711,"start":"88","file":"/sys/it","left":true}` + "\n-- proc/4711/stat --\n4711 (exe) D 1 1 1 0 -1 1 1 1 1 1 1 1 1 1 20 0 1 0 88 1 1\n"
	for name, test := range map[string]struct{ edit, want string }{
		"a write in which the kernel waits": {waits, "warning pool writes: for 0 s the kernel has been waiting in a write of /sys/it, by process 4711, and until that ends it neither adds nor frees pages of 1 GiB"},
		"one that has ended":                {strings.Replace(waits, "(exe) D", "(exe) Z", 1), ""},
		"a guest that starts":               {process("600", "qemu-system-x86", "0") + idle + starting, ""},
		"guests alone":                      {"", ""},
		"a switch as well":                  {process("601", "ovs-vswitchd", "2048") + process("600", "qemu-system-x86", "1734656"), "ok in use: qemu-system-x86 (process 600) 1.7 GiB, ovs-vswitchd (process 601) 2 MiB"},
		"pages of nobody":                   {nobody, "note in use: 1.7 GiB of huge pages are in use, and no process has them mapped"},
		"an ordinary user and hidepid":      {nobody + hidepid + "0000000000000000\n", "note in use: 1.7 GiB of huge pages are in use, and no process that vmhuge can see has them mapped: /proc is mounted with hidepid, which hides the processes of other users"},
		"root and hidepid":                  {nobody + hidepid + "000001ffffffffff\n", "note in use: 1.7 GiB of huge pages are in use, and no process has them mapped"},
		"an idle pool":                      {process("600", "qemu-system-x86", "0") + idle, "note reserved: nobody uses the 64 pages of 2 MiB, which keep 128 MiB from everything else"},
	} {
		notes := PoolNotes(host.Host{Root: hosttest.Unpack(t, "one-node", plainHost+test.edit)})
		if got := strings.Join(factLines(t, notes), "\n"); got != test.want {
			t.Errorf("%s:\n%s\nnot\n%s", name, got, test.want)
		}
	}
}

// In a container /proc has the container's processes, and the pools are the host's.
func TestPoolNotesOfAContainer(t *testing.T) {
	root := hosttest.Unpack(t, "one-node", plainHost+"-- proc/600/status --\nName:\tqemu-system-x86\nHugetlbPages:\t 2048 kB\n")
	if err := errors.Join(os.MkdirAll(root.Path("proc", "self", "ns"), 0o755), os.Symlink("pid:[4026532501]", root.Path("proc", "self", "ns", "pid"))); err != nil {
		t.Fatal(err)
	}
	const want = "note in use: 1.7 GiB of huge pages are in use, and no process that vmhuge can see has them mapped: vmhuge runs in a PID namespace, as in a container, which hides the host's other processes"
	if got := strings.Join(factLines(t, PoolNotes(host.Host{Root: root})), "\n"); got != want {
		t.Errorf("%s\nnot\n%s", got, want)
	}
}
