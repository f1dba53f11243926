package ledger

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// A claim that a newer vmhuge wrote in a form that is not known here stays byte for byte,
// whatever is done; its pages are freed by nobody, and what can be read of it counts.
func TestNewerClaim(t *testing.T) {
	const grant = `{"node":0,"page_size_kib":2048,"pages":50}`
	later := strings.Replace(dead(grant), `"version":1`, `"version":2`, 1)
	for name, test := range map[string]struct {
		file, text string
		pending    int64 // of the free 60
	}{
		"phase":          {web1 + ".asleep", dead(grant), 90},
		"version":        {web1 + ".starting", later, 90},
		"version, owed":  {web1 + ".owed", later, 90},
		"version, runs":  {web1 + ".700", later, 90},
		"both":           {web1 + ".half-awake", later, 90},
		"another form":   {web1 + ".starting", `{"version":2,"uuid":{},"takes":7,"grants":"none"}`, 0},
		"another number": {web1 + ".starting", strings.Replace(later, `"pages":50`, `"pages":-50`, 1), 90},
	} {
		t.Run(name, func(t *testing.T) {
			root := fixture(t, oneNode, us())
			path := filepath.Join(root.Path(claimsDir...), test.file)
			write(t, path, test.text)
			pending, err := ReadPending(root)
			must(t, err)
			if n := pagesOf(pending); n != test.pending {
				t.Errorf("%d pages are pending, not %d", n, test.pending)
			}
			l := open(t, root)
			must(t, l.Audit())
			if len(l.SetAside) != 1 || !strings.Contains(l.SetAside[0], path+" is left as it is, for a newer vmhuge wrote it") {
				t.Errorf("it says %q", l.SetAside)
			}
			if n := pagesOf(l.Pending("")); n != test.pending {
				t.Errorf("%d pages are pending in the ledger, not %d", n, test.pending)
			}
			if _, _, err := l.Release(web1); err == nil || !strings.Contains(err.Error(), "a newer vmhuge manages this guest") {
				t.Errorf("release: %v", err)
			}
			if err := l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: takes(90)}); err == nil {
				t.Error("another claim of the guest was begun")
			}
			// Another guest comes and goes.
			must(t, l.Begin(Claim{UUID: db1, Name: "db1", Owner: owner(), Takes: takes(10)}))
			must(t, l.Grow(t.Context(), db1, []pool.Need{{Size: pages.Size2MiB, Pages: 10}}, pool.Effort{}))
			l.Close()
			l = open(t, root)
			if given, _, err := l.Release(db1); err != nil || given != 0 && test.pending > 60 || nr(t, root, 0, 2048) < 100 {
				t.Errorf("%v, %d given, %d pages", err, given, nr(t, root, 0, 2048))
			}
			l.Close()
			if text, err := os.ReadFile(path); err != nil || string(text) != test.text {
				t.Errorf("%v, the claim is\n%s", err, text)
			}
			if !slices.Contains(files(t, root), test.file) {
				t.Errorf("%v", files(t, root))
			}
		})
	}
}

func pagesOf(pending []pool.Pending) (n int64) {
	for _, p := range pending {
		n += p.Unmapped
	}
	return n
}
