package audit

import (
	"os"
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// TestRecords reads testdata/records.txt: records in every form in which the kernel,
// auditd, ausearch and journald write them, each with what cures it, or - where it is
// no matter of a guest's huge pages.
//
//	== restorecon -R /dev/hugepages
//	type=AVC msg=audit(…
func TestRecords(t *testing.T) {
	all, err := os.ReadFile("testdata/records.txt")
	if err != nil {
		t.Fatal(err)
	}
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
	for _, block := range strings.Split("\n"+string(all), "\n== ")[1:] {
		want, record, _ := strings.Cut(block, "\n")
		found, err := DeniedIn(h, record)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case want == "-" && len(found) > 0:
			t.Errorf("%s\ngot %s", record, found[0].Do)
		case want != "-" && (len(found) != 1 || !strings.Contains(found[0].Do, want)):
			t.Errorf("%s\n%+v, not %s", record, found, want)
		}
	}
}
