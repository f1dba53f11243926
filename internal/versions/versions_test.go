package versions

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the table of docs/tested.md anew")

func TestIn(t *testing.T) {
	rule := Rule{9000000, 7002000, ""}
	for _, row := range []struct {
		libvirt, qemu uint32
		in, lacked    bool
	}{
		{9000000, 7002000, true, false},
		{12009000, 11001003, true, false},
		{8010000, 7002000, false, true},
		{9000000, 7001999, false, true},
		{0, 0, false, false}, // not known
		{8010000, 0, false, false},
	} {
		if in, lacked := rule.In(row.libvirt, row.qemu), rule.LackedBy(row.libvirt, row.qemu); in != row.in || lacked != row.lacked {
			t.Errorf("%d, %d: in %v, lacked %v", row.libvirt, row.qemu, in, lacked)
		}
	}
}

// TestDocumented holds the table of docs/tested.md to the rules.
func TestDocumented(t *testing.T) {
	const page, head = "../../docs/tested.md", "| libvirt | QEMU | what |\n|---|---|---|\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), head)
	old, after, ended := strings.Cut("\n"+rest, "\n\n")
	if !found || !ended {
		t.Fatalf("%s has no table %q", page, head)
	}
	old = strings.TrimPrefix(old+"\n", "\n")
	from := func(version uint32) string {
		if version == 0 {
			return "any"
		}
		return since(version)
	}
	var want strings.Builder
	for _, r := range All {
		fmt.Fprintf(&want, "| %s | %s | %s |\n", from(r.Libvirt), from(r.QEMU), r.Does)
	}
	if old == want.String() {
		return
	}
	if !*update {
		t.Fatalf("%s (-has +should have; ./just golden writes it):\n%s", page, cmp.Diff(old, want.String()))
	}
	if err := os.WriteFile(page, []byte(before+head+want.String()+"\n"+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
