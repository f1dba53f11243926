package integration

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"libvirt.org/go/libvirt"
)

// cut is a run of vmhuge that may be cut short.
type cut struct {
	out    string
	err    error
	killed bool
}

// uncut is how a run ends by itself.
const uncut = 2

// cutShort runs vmhuge; how 0 kills it after a time, 1 interrupts it, and all else lets it end.
func cutShort(how int, after time.Duration, args ...string) (r cut) {
	cmd := exec.Command(filepath.Join(scratch, "bin", "vmhuge"), args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if r.err = cmd.Start(); r.err != nil {
		return r
	}
	if how < uncut {
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Signal([]unix.Signal{unix.SIGKILL, unix.SIGINT}[how]) })
		defer timer.Stop()
	}
	r.err = cmd.Wait()
	r.killed = r.err != nil && !cmd.ProcessState.Exited()
	r.out = out.String()
	return r
}

// libvirtIdle waits until libvirt and QEMU have ended what they were asked for of a guest.
func libvirtIdle(t *testing.T, dom *libvirt.Domain) {
	t.Helper()
	waitUntil(t, "libvirt has ended what it was asked for", func() bool {
		info, err := dom.GetControlInfo(0)
		active, gone := dom.IsActive()
		return err == nil && info.State == libvirt.DOMAIN_CONTROL_OK || gone == nil && !active
	})
}
