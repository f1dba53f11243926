package journal

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/hostfs"
)

// A change that fails when a part of it is made is taken back, and is off the record
// only then.
func TestFailedHalfway(t *testing.T) {
	hosttest.InMountNamespace(t, func(t *testing.T) {
		dir := t.TempDir()
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
		hosttest.WriteFile(t, dir+"/proc/sys/kernel/random/boot_id", "1\n")
		entry := func(name string) string { return dir + "/boot/loader/entries/" + name + ".conf" }
		for _, name := range []string{"a", "b", "c"} {
			hosttest.WriteFile(t, entry(name), "title x\nlinux /vmlinuz\noptions quiet\n")
		}
		if err := immutable(entry("b"), true); err != nil {
			t.Error(err)
			return
		}
		before := everything(t, dir+"/boot")
		j := Journal{Host: host.Host{Root: hostfs.Root(dir)}}
		c := change.Change{Kind: change.KindKernelArgs, Path: "/boot/loader/entries", To: "hugepages=2"}
		err := j.Apply([]change.Change{c})
		if !errors.Is(err, unix.EPERM) || !strings.HasSuffix(err.Error(), "b.conf: operation not permitted") {
			t.Errorf("got %v", err)
		}
		if after := everything(t, dir+"/boot"); after != before {
			t.Errorf("it left\n%s\nnot\n%s", after, before)
		}
		if changes, err := j.Changes(); len(changes) > 0 || err != nil {
			t.Errorf("on record: %v, %v", changes, err)
		}

		// Nor can it be taken back: it stays on record until it can.
		hosttest.WriteFile(t, entry("a"), "title x\nlinux /vmlinuz\noptions quiet vmhuge.begin hugepages=2 vmhuge.end\n")
		_ = immutable(entry("a"), true)
		if err = j.Apply([]change.Change{c}); err == nil {
			t.Error("it was made")
		}
		if changes, err := j.Changes(); len(changes) != 1 || err != nil {
			t.Errorf("on record: %v, %v", changes, err)
		}
		_, left, err := j.Undo()
		if len(left) != 1 || !left[0].Again || err != nil {
			t.Errorf("undo left %v, %v", left, err)
		}
		_ = immutable(entry("a"), false)
		if _, left, err := j.Undo(); len(left) > 0 || err != nil {
			t.Errorf("undo left %v, %v", left, err)
		}
		if after := everything(t, dir+"/boot"); after != before {
			t.Errorf("undo left\n%s\nnot\n%s", after, before)
		}
		_ = immutable(entry("b"), false)
		if _, err := os.Stat(dir + "/var/lib/vmhuge"); !os.IsNotExist(err) {
			t.Errorf("/var/lib/vmhuge was left: %v", err)
		}
	})
}
