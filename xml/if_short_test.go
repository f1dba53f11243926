package xml

import (
	"strings"
	"testing"

	"vmhuge/internal/pages"
)

// TestIfShort puts on record what a guest is started on where its pages are short, refuses
// what never comes into play, and takes it back to the byte.
func TestIfShort(t *testing.T) {
	const gib = "<memory unit='GiB'>1</memory>"
	of := func(s pages.IfShort) *pages.IfShort { return &s }
	on2M, on1G := pages.IfShort(pages.Size2MiB), pages.IfShort(pages.Size1GiB)
	for name, test := range map[string]struct {
		doc  []byte
		want Backing
		why  string // it is refused
	}{
		"own, transparent":  {guest(gib, backed(bare)), Backing{Usual: true, Keep: true, IfShort: of(pages.IfShortTHP)}, ""},
		"own, smaller":      {guest(gib, backed(page1G)), Backing{Usual: true, Keep: true, IfShort: of(on2M)}, ""},
		"enabled, smaller":  {guest(gib), Backing{PageSize: pages.Size1GiB, IfShort: of(on2M)}, ""},
		"the default":       {guest(gib), Backing{IfShort: of(on2M)}, ""},
		"no smaller":        {guest(gib), Backing{Usual: true, IfShort: of(on2M)}, "it has no pages larger than 2 MiB"},
		"larger":            {guest(gib), Backing{Usual: true, IfShort: of(on1G)}, "it has no pages larger than 1 GiB"},
		"not huge":          {guest(gib), Backing{Usual: true, IfShort: of(4096)}, "are not huge"},
		"of another kernel": {guest(gib, on("x86_64")), Backing{PageSize: pages.Size1GiB, IfShort: of(64 << 10)}, "huge pages of 64 KiB"},
	} {
		out, err := Rewrite(test.doc, test.want)
		if test.why != "" {
			if err == nil || !strings.Contains(err.Error(), test.why) {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d, err := Demand(out, 0); err != nil || d.IfShort != *test.want.IfShort || !strings.Contains(string(out), " if-short='"+d.IfShort.String()+"'") {
			t.Errorf("%s: %s, %v\n%s", name, d.IfShort, err, out)
		}
		if back, err := Revert(out, false); err != nil || string(back) != string(test.doc) {
			t.Errorf("%s: it comes back as %s, %v", name, back, err)
		}
		test.want.IfShort = of(0)
		none, err := Rewrite(out, test.want)
		if d, derr := Demand(none, 0); err != nil || derr != nil || d.IfShort != 0 {
			t.Errorf("%s: ended, %v, %v\n%s", name, err, derr, none)
		}
	}
}
