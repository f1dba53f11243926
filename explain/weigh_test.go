package explain

import (
	"slices"
	"testing"
)

// What the host shows comes first, what it refutes last; between them the table's order.
func TestWeigh(t *testing.T) {
	matches := Explain("error: internal error: Unable to find any usable hugetlbfs mount for 1048576 KiB")
	type finding struct {
		cause string
		now   bool
	}
	of := func(f finding) (string, bool) { return f.cause, f.now }
	for _, test := range []struct {
		findings []finding
		refuted  []string
		want     string
	}{
		{nil, nil, "page-size-missing mount-late mount-missing"},
		{nil, []string{"page-size-missing"}, "mount-late mount-missing page-size-missing:no"},
		{[]finding{{"mount-missing", true}}, []string{"page-size-missing", "mount-missing"}, "mount-missing:yes mount-late page-size-missing:no"},
		{[]finding{{"page-size-missing", false}}, []string{"page-size-missing"}, "page-size-missing mount-late mount-missing"}, // a note
		{nil, []string{"page-size-missing", "mount-late", "mount-missing"}, "page-size-missing:no mount-late:no mount-missing:no"},
	} {
		got := ""
		for _, w := range Weigh(matches, test.findings, of, func(m Match) bool { return slices.Contains(test.refuted, m.ID) }) {
			got += " " + w.ID
			if w.Seen {
				got += ":yes"
			}
			if w.Refuted {
				got += ":no"
			}
		}
		if got != " "+test.want {
			t.Errorf("%v:%s, not %s", test, got, test.want)
		}
	}
}
