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

// What belongs to pages of the other sort ends with them, and the user is told.
func TestPolicyThatEnds(t *testing.T) {
	doc := guest("<memory unit='GiB'>4</memory>")
	keep, short, growth, percent := pages.KeepAlways, pages.IfShort(pages.Size2MiB), int64(1<<20), 95.0
	reserved, err := Rewrite(guest("<memory unit='GiB'>4</memory><maxMemory slots='4' unit='GiB'>8</maxMemory><cpu><numa><cell id='0' cpus='0' memory='4194304' unit='KiB'/></numa></cpu>"),
		Backing{PageSize: pages.Size1GiB, For: &keep, IfShort: &short, GrowthKiB: &growth, Threads: 4})
	if err != nil {
		t.Fatal(err)
	}
	huge, err := Rewrite(doc, Backing{THP: true, AtLeast: &percent})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		before []byte
		want   Backing
		says   string
	}{
		{reserved, Backing{THP: true}, "--keep always, --if-short 2M, --reserve-growth 1 GiB and --threads 4 were for its reserved pages, and end with these: name them again if it returns to such pages"},
		{huge, Backing{Usual: true}, "--at-least 95% was for its transparent huge pages, and ends with these: name it again if it returns to such pages"},
		{doc, Backing{THP: true}, ""},
		{reserved, Backing{Keep: true, Usual: true}, ""},
	} {
		after, err := Rewrite(test.before, test.want)
		notes := strings.Join(Want{Backing: test.want}.Notes(test.before, after), "\n")
		if err != nil || strings.Contains(notes, "with these") != (test.says != "") || !strings.Contains(notes, test.says) {
			t.Errorf("%+v: %v\n%s", test.want, err, notes)
		}
	}
}

// Threads that Rewrite wrote leave nothing behind.
func TestThreadsNoMore(t *testing.T) {
	doc := guest("<memory unit='GiB'>4</memory>")
	plain, err := Rewrite(doc, Backing{Usual: true})
	if err != nil {
		t.Fatal(err)
	}
	four, err := Rewrite(plain, Backing{Usual: true, Threads: 4})
	if err != nil || !strings.Contains(string(four), "<allocation threads='4'/>") {
		t.Fatalf("%v\n%s", err, four)
	}
	if none, err := Rewrite(four, Backing{Usual: true, Threads: -1}); err != nil || string(none) != string(plain) {
		t.Errorf("%v\n%s", err, none)
	}
}
