package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep"
)

func dimmOf(source string, mib int) string {
	return fmt.Sprintf("<memory model='dimm'>%s<target><size unit='MiB'>%d</size><node>0</node></target></memory>", source, mib)
}

// TestExplainHotplug attaches memory for which there are no pages.
func TestExplainHotplug(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 32)
	dom := define(t, device(pages2M, ""))
	startPaused(t, dom)
	f := fault{guest: guest{name: nameOf(t, dom)}, says: "unable to execute QEMU command 'object-add'", cause: "hotplug-short", blind: true}
	f.explained(t, dom.AttachDeviceFlags(dimmOf("", 64), libvirt.DOMAIN_DEVICE_MODIFY_LIVE), &outcomeOf{})
}

// TestExplainLocked has a <locked/> domain, which libvirtd may start or not.
func TestExplainLocked(t *testing.T) {
	f := fault{guest: backing(pages2M + "<locked/>"), verdict: hostprep.Ready}
	if status, err := os.ReadFile("/proc/self/status"); err != nil || !mayLimit(string(status)) {
		f.verdict, f.says, f.cause = hostprep.BadHost, "cannot limit locked memory", "locked-memory"
	}
	f.run(t, &outcomeOf{})
}

// mayLimit says whether CAP_SYS_RESOURCE is among the capabilities that count.
func mayLimit(status string) bool {
	_, rest, _ := strings.Cut(status, "CapEff:")
	line, _, _ := strings.Cut(rest, "\n")
	caps, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	return err == nil && caps&(1<<24) != 0
}

// TestExplainSession has an ordinary user's libvirtd, which knows no mounts.
func TestExplainSession(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 32)
	n := newNobody(t)
	path := filepath.Join(n.home, "mine.xml")
	if err := os.WriteFile(path, []byte(guest{name: "mine", backing: pages2M}.xml()), 0o644); err != nil {
		t.Fatal(err)
	}
	n.run(0, "virsh", "-c", "qemu:///session", "define", path)
	defer n.run(0, "virsh", "-c", "qemu:///session", "undefine", "mine")
	text := n.run(1, "virsh", "-c", "qemu:///session", "start", "mine")
	out := n.run(0, filepath.Join(scratch, "bin", "vmhuge"), "explain", "-c", "qemu:///session", "--", text)
	if !strings.Contains(out, "\n  session-mount: ") || strings.Contains(out, "mount-late") || !strings.Contains(out, "    now: mount: ") {
		t.Errorf("%s\nis explained as\n%s", text, out)
	}
}
