package slips

import (
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

func textOf(t *testing.T, edits string) string {
	t.Helper()
	slips, err := InFiles(host.Host{Root: hosttest.Unpack(t, "one-node", edits)})
	hosttest.Must(t, err)
	var got []string
	for _, s := range slips {
		got = append(got, s.Where+": "+s.Word+" "+s.Why+" → "+s.Right)
	}
	return strings.Join(got, "\n")
}

// A line is not advised into a file that a later one overrides.
func TestAdvisedFileIsReadLast(t *testing.T) {
	const systemd = "-- modes --\nrun/systemd/system/ 0755 0:0\n-- etc/sysctl.conf --\nvm.nr_hugepages = 2000\n"
	for files, want := range map[string]string{
		"": "the same line in /etc/sysctl.d/90-hugepages.conf",
		"-- etc/sysctl.d/99-zz.conf --\nvm.nr_hugepages = 512\n":        "the same line in place of /etc/sysctl.d/99-zz.conf:1, which is read last and says 512",
		"-- etc/sysctl.d/99-zz.conf --\nvm.nr_overcommit_hugepages=1\n": "the same line in /etc/sysctl.d/90-hugepages.conf",
		"-- etc/sysctl.d/10-a.conf --\nvm.nr_hugepages = 512\n":         "the same line in /etc/sysctl.d/90-hugepages.conf",
	} {
		if got := textOf(t, systemd+files); !strings.Contains(got, "→ "+want+"\n") && !strings.HasSuffix(got, "→ "+want) {
			t.Errorf("%q:\n%s", files, got)
		}
	}
}

// sysctl sets the pool when the kernel has allocated what its command line asks for.
func TestSysctlOverridesCmdline(t *testing.T) {
	const line = "-- proc/cmdline --\nhugepages=1000\n-- etc/sysctl.d/99-x.conf --\nvm.nr_hugepages = "
	const want = "the kernel's command line: hugepagesz=2M hugepages=1000 is overridden by /etc/sysctl.d/99-x.conf:1, which is read later and sets 500 → one of the two"
	if got := textOf(t, line+"500\n"); got != want {
		t.Error(got)
	}
	if got := textOf(t, line+"1000\n"); got != "" {
		t.Error(got)
	}
}
