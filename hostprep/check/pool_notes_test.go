package check

import (
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
	idle := "-- pools --\nall 2048 64 64 0 0 0\n0 2048 64 64 0\n"
	for name, test := range map[string]struct{ edit, want string }{
		"guests alone":     {"", ""},
		"a switch as well": {process("601", "ovs-vswitchd", "2048") + process("600", "qemu-system-x86", "1734656"), "ok in use: qemu-system-x86 (process 600) 1.7 GiB, ovs-vswitchd (process 601) 2 MiB"},
		"pages of nobody":  {process("600", "qemu-system-x86", "2048"), "note in use: 1.7 GiB of huge pages are in use, and no process has them mapped"},
		"an idle pool":     {process("600", "qemu-system-x86", "0") + idle, "note reserved: nobody uses the 64 pages of 2 MiB, which keep 128 MiB from everything else"},
	} {
		notes := PoolNotes(host.Host{Root: hosttest.Unpack(t, "one-node", plainHost+test.edit)})
		if got := strings.Join(factLines(t, notes), "\n"); got != test.want {
			t.Errorf("%s:\n%s\nnot\n%s", name, got, test.want)
		}
	}
}
