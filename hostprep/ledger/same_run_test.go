package ledger

import (
	"os"
	"testing"
)

// A host whose process 1 has another /run/vmhuge, or has none yet, is not changed; one that
// shares it is, however it comes to be here.
func TestSameRun(t *testing.T) {
	for name, row := range map[string]struct {
		there   func(init, run string) error
		refused bool
	}{
		"not to be seen":   {func(init, _ string) error { return os.Remove(init) }, false},
		"another":          {func(init, _ string) error { return os.MkdirAll(init+"/run/vmhuge", 0o755) }, true},
		"none yet":         {func(init, _ string) error { return os.Mkdir(init+"/run", 0o755) }, true},
		"the same":         {func(init, run string) error { return os.Symlink(run, init+"/run") }, false},
		"a link in itself": {func(init, _ string) error { return os.Symlink("run", init+"/run") }, false},
	} {
		root := fixture(t, oneNode)
		init := root.Path("proc", "1", "root")
		must(t, os.MkdirAll(init, 0o755))
		must(t, row.there(init, root.Path("run")))
		l, err := Open(t.Context(), root)
		if err == nil {
			l.Close()
		}
		if (err != nil) != row.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}
