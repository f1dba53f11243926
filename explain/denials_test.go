package explain

import (
	"os"
	"strings"
	"testing"
)

// What the room of audit finds in a record, explain must have a row for, and no other.
func TestDenials(t *testing.T) {
	all, err := os.ReadFile("../hostprep/audit/testdata/records.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, block := range strings.Split("\n"+string(all), "\n== ")[1:] {
		cure, record, _ := strings.Cut(block, "\n")
		want := "security-module"
		switch {
		case strings.Contains(record, ":virt_hook_t:"):
			want = "hook-denied"
		case cure == "-":
			want = ""
		case strings.Contains(cure, "cpumap"):
			want = "apparmor-numa"
		case strings.HasPrefix(cure, "vmhuge enable --source file") && strings.Contains(record, "apparmor="):
			want = "apparmor-memfd"
		}
		if got := ids(Explain(record)); got != want {
			t.Errorf("%s\n%q, not %q", record, got, want)
		}
		n++
	}
	if n < 30 {
		t.Errorf("%d records are read", n)
	}
}
