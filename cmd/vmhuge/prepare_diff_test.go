package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/change"
)

func TestSayWould(t *testing.T) {
	for name, test := range map[string]struct {
		from, to, want string
	}{
		"new":     {"", "0644 0:0\na\n\nb\n", "prepare: would: write /x:\n+a\n+\n+b\n"},
		"edit":    {"0644 0:0\npassword = 1\na\n--- b\n", "0644 0:0\npassword = 1\na\n+++ b\n", "prepare: would: edit /x:\n---- b\n++++ b\n"},
		"no end":  {"0644 0:0\na", "0644 0:0\na\nb", "prepare: would: edit /x:\n-a\n+a\n+b\n"},
		"removed": {"0644 0:0\na\n", "", "prepare: would: rm /x\n"},
	} {
		var out bytes.Buffer
		p := &program{stdout: &out}
		p.sayWould(change.Change{Kind: change.KindFile, Path: "/x", From: test.from, To: test.to})
		if diff := cmp.Diff(test.want, out.String()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
