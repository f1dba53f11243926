package packaging

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCockpitPackages takes the page as just cockpit has built it.
func TestCockpitPackages(t *testing.T) {
	if _, err := os.Stat("../bin/cockpit/manifest.json"); errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the page is not built; run: sudo ./just cockpit")
	}
	out, again := t.TempDir(), t.TempDir()
	build(t, "../packaging/build-cockpit", out)
	build(t, "../packaging/build-cockpit", again)
	if diff := cmp.Diff(sums(t, out), sums(t, again)); diff != "" {
		t.Errorf("a second time they differ:\n%s", diff)
	}
	deb, rpm := filepath.Join(out, "cockpit-vmhuge_"+version+"-1_all.deb"), filepath.Join(out, "cockpit-vmhuge-"+version+"-1.noarch.rpm")
	if text := output(t, "lintian", "--allow-root", "--fail-on", "error,warning", deb); text != "" {
		t.Error(text)
	}
	if text := output(t, "dpkg-deb", "--field", deb, "Depends"); text != "vmhuge, cockpit-bridge (>= 287)\n" {
		t.Error(text)
	}
	if text := output(t, "rpm", "-qp", "--requires", rpm); !strings.Contains(text, "cockpit-bridge >= 287\n") {
		t.Error(text)
	}

	root := t.TempDir()
	output(t, "dpkg-deb", "-x", deb, root)
	inRPM := strings.Fields(output(t, "rpm", "-qpl", rpm))
	for _, name := range []string{"index.html", "index.js.gz", "index.css.gz", "po.de.js.gz", "manifest.json"} {
		path := "/usr/share/cockpit/vmhuge/" + name
		if _, err := os.Stat(filepath.Join(root, path)); err != nil || !slices.Contains(inRPM, path) {
			t.Errorf("there is no %s: %v", path, err)
		}
	}
	licences, err := os.ReadFile(filepath.Join(root, "usr/share/doc/cockpit-vmhuge/copyright"))
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range []string{"react", "react-dom", "@patternfly/react-core"} {
		if !strings.Contains(string(licences), "--- "+module+" ") {
			t.Errorf("the licence of %s is missing", module)
		}
	}
}
