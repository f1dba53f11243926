package plan

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

// What is kept for a guest is left to it, and it takes it when it starts.
func TestPlanKept(t *testing.T) {
	const uuid = "6695eb01-f6a4-8304-79aa-97f2502e193f"
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
	boot, err := h.Root.Read("proc", "sys", "kernel", "random", "boot_id")
	hosttest.Must(t, err)
	path := h.Root.Path("run", "vmhuge", "claims", uuid+".kept")
	hosttest.Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	takes := `[{"page_size_kib":2048,"pages":1200}]`
	hosttest.Must(t, os.WriteFile(path, fmt.Appendf(nil, `{"version":1,"boot_id":%q,"uuid":%q,"name":"web1","takes":%s,"grants":[],"keep":{"seconds":9223372036,"takes":%s,"grants":[]}}`,
		strings.TrimSpace(boot), uuid, takes, takes), 0o644))
	web1, db1 := onPages("web1", 1200, pages.Size2MiB, -1), func(n int64) hostprep.Candidate { return onPages("db1", n, pages.Size2MiB, -1) }
	web1.UUID = uuid
	for name, test := range map[string]struct {
		guests []hostprep.Candidate
		fits   bool
	}{
		"another, beside it":            {[]hostprep.Candidate{db1(4928)}, true},
		"another, a page too much":      {[]hostprep.Candidate{db1(4929)}, false},
		"it, and another":               {[]hostprep.Candidate{web1, db1(4928)}, true},
		"another, and it":               {[]hostprep.Candidate{db1(4928), web1}, true},
		"it, and another, one too much": {[]hostprep.Candidate{web1, db1(4929)}, false},
	} {
		plan, err := Make(h, test.guests, 0)
		if err != nil || plan.Fits != test.fits || len(plan.Reservations) != 1 || !plan.Reservations[0].Kept {
			t.Errorf("%s: %v, fits %t: %+v", name, err, plan.Fits, plan.Reservations)
		}
	}
}
