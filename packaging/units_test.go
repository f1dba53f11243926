package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vmhuge/hostprep/boot"
)

// TestUnits holds our units to what systemd makes of how much they are confined: 100 is not at all.
// The last points are root, the host's /proc and libvirt's socket, which they are for.
func TestUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatal("there is no systemd-analyze; run: sudo ./just deps-test")
	}
	bootUnit := filepath.Join(t.TempDir(), "vmhuge.service")
	text := boot.ServiceText("/bin/true", boot.Folder{Path: "/mnt/huge pages/qemu"}, boot.Folder{Path: "/dev/hugepages/qemu"})
	if err := os.WriteFile(bootUnit, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "\nReadWritePaths=/run \"-/mnt/huge pages\"\n") {
		t.Errorf("the unit can't make its folders:\n%s", text)
	}
	for unit, exposure := range map[string]string{
		"../examples/monitoring/vmhuge-metrics.service": "21",
		"../examples/systemd/vmhuge-collapse.service":   "20",
		bootUnit: "28",
	} {
		out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold="+exposure, "--no-pager", unit).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Overall exposure level") {
			t.Errorf("%s is more exposed than %s of 100: %v\n%s", unit, exposure, err, out)
		}
		// Whether vmhuge is installed here is not the question.
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		there := filepath.Join(t.TempDir(), filepath.Base(unit))
		if err := os.WriteFile(there, []byte(strings.ReplaceAll(string(text), "/usr/bin/vmhuge", "/bin/true")), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("systemd-analyze", "verify", "--man=no", there).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}
