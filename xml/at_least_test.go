package xml

import (
	"strings"
	"testing"
)

// TestAtLeast puts on record how much of a guest transparent huge pages must back. It ends with
// 0, with reserved pages, and with Revert.
func TestAtLeast(t *testing.T) {
	const gib = "<memory unit='GiB'>1</memory>"
	doc := guest(gib)
	percent := func(n float64) *float64 { return &n }
	out, err := Rewrite(doc, Backing{THP: true, AtLeast: percent(97.5)})
	if d, derr := Demand(out, 0); err != nil || derr != nil || d.AtLeast != 97.5 || !strings.Contains(string(out), " at-least='97.5%'") {
		t.Errorf("%v, %v: %+v\n%s", err, derr, d, out)
	}
	if again, err := Rewrite(out, Backing{THP: true}); err != nil || string(again) != string(out) {
		t.Errorf("without the flag it changes: %v\n%s", err, again)
	}
	if back, err := Revert(out, false); err != nil || string(back) != string(doc) {
		t.Errorf("it comes back as %s, %v", back, err)
	}
	for name, want := range map[string]Backing{"0": {THP: true, AtLeast: percent(0)}, "reserved": {Usual: true}} {
		none, err := Rewrite(out, want)
		if d, derr := Demand(none, 0); err != nil || derr != nil || d.AtLeast != 0 || strings.Contains(string(none), "at-least") {
			t.Errorf("%s: %v, %v\n%s", name, err, derr, none)
		}
	}
}

// A share that the memory can't reach is refused: no start would succeed.
func TestAtLeastOfSharedMemory(t *testing.T) {
	const gib = "<memory unit='GiB'>1</memory>"
	const virtiofs = "<memoryBacking><access mode='shared'/></memoryBacking><devices><filesystem type='mount'><driver type='virtiofs'/><source dir='/srv'/><target dir='srv'/></filesystem></devices>"
	cells := func(access string) string {
		return "<cpu><numa><cell id='0' cpus='0' memory='786432' unit='KiB'/><cell id='1' cpus='1' memory='262144' unit='KiB'" + access + "/></numa></cpu><vcpu>2</vcpu>"
	}
	percent := func(n float64) *float64 { return &n }
	for name, test := range map[string]struct {
		doc     string
		atLeast *float64
		most    string
	}{
		"shared":                    {gib + virtiofs, percent(95), "at most 0 %"},
		"shared, any":               {gib + virtiofs, percent(0), ""},
		"shared, none":              {gib + virtiofs, nil, ""},
		"a shared cell":             {gib + cells(" memAccess='shared'"), percent(76), "at most 75 %"},
		"a shared cell, the others": {gib + cells(" memAccess='shared'"), percent(75), ""},
		"private cells":             {gib + cells(""), percent(99), ""},
	} {
		_, err := Rewrite(guest(test.doc), Backing{THP: true, AtLeast: test.atLeast})
		if test.most == "" && err != nil || test.most != "" && (err == nil || !strings.Contains(err.Error(), test.most)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
