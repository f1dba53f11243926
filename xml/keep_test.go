package xml

import (
	"strings"
	"testing"

	"vmhuge/internal/pages"
)

// TestKeep puts on record how long a guest's pages stay for it, and takes it back to the byte.
func TestKeep(t *testing.T) {
	own := `<domain type='kvm'><name>web1</name><memory unit='MiB'>64</memory>
  <memoryBacking><hugepages/></memoryBacking>
</domain>`
	plain := strings.Replace(own, "<hugepages/>", "<nosharepages/>", 1)
	of := func(k pages.Keep) *pages.Keep { return &k }
	const hour = pages.Keep(3600e9)
	for name, doc := range map[string]string{"its own huge pages": own, "none": plain} {
		want := Backing{Usual: true, Keep: true, For: of(hour)}
		rewrite := func(doc []byte, want Backing) []byte {
			t.Helper()
			out, err := Rewrite(doc, want)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		holds := func(doc []byte, keep pages.Keep) {
			t.Helper()
			if d, err := Demand(doc, pages.Size2MiB); err != nil || d.Keep != keep || keep > 0 && !strings.Contains(string(doc), " keep='"+keep.String()+"'") {
				t.Errorf("%s: it is kept %s, not %s: %v\n%s", name, d.Keep, keep, err, doc)
			}
		}
		kept := rewrite([]byte(doc), want)
		holds(kept, hour)
		if again := rewrite(kept, Backing{Usual: true, Keep: true}); string(again) != string(kept) {
			t.Errorf("%s: not as it is:\n%s", name, again)
		}
		want.For = of(pages.KeepAlways)
		always := rewrite(kept, want)
		holds(always, pages.KeepAlways)
		want.For = of(0)
		holds(rewrite(always, want), 0)
		thp, err := Rewrite(always, Backing{THP: true})
		if d, derr := Demand(thp, pages.Size2MiB); (err == nil) != (doc == plain) || derr == nil && d.Keep != 0 {
			t.Errorf("%s: on transparent huge pages: %v, %s", name, err, thp)
		}
		if back, err := Revert(always, false); err != nil || string(back) != doc {
			t.Errorf("%s: it comes back as %s, %v", name, back, err)
		}
	}
	once, err := Rewrite([]byte(plain), Backing{Usual: true, Keep: true, For: of(hour)})
	if err != nil {
		t.Fatal(err)
	}
	short := pages.IfShortTHP
	both, err := Rewrite(once, Backing{Usual: true, Keep: true, IfShort: &short})
	if d, derr := Demand(both, 0); err != nil || derr != nil || d.Keep != hour || d.IfShort != short {
		t.Errorf("both policies: %v, %v: %s", err, derr, both)
	}
	odd, err := Demand([]byte(strings.Replace(own, "<memoryBacking>", "<metadata><vmhuge:former xmlns:vmhuge='urn:vmhuge:1' keep='for good'/></metadata><memoryBacking>", 1)), pages.Size2MiB)
	if err != nil || odd.Keep != 0 {
		t.Errorf("%v, %v", odd.Keep, err)
	}
}
