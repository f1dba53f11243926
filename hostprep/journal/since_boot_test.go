package journal

import (
	"testing"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// A file that is changed again in another boot has been changed since that boot.
func TestSinceBoot(t *testing.T) {
	const file = "/etc/x"
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- modes --\nvar/lib/ 0755 0:0\n")}
	j := Journal{Host: h}
	since := func(want bool) {
		t.Helper()
		if got, err := j.SinceBoot(file); err != nil || got != want {
			t.Errorf("%v, %v", got, err)
		}
	}
	boot := func(id string) { hosttest.WriteFile(t, h.Root.Path("proc/sys/kernel/random/boot_id"), id+"\n") }
	edit := func(from, to string) {
		t.Helper()
		hosttest.Must(t, j.Apply([]change.Change{{Kind: change.KindFile, Path: file, From: from, To: to}}))
	}
	since(false)
	boot("first")
	edit("", "0644 0:0\nold\n")
	since(true)
	boot("second")
	since(false)
	edit("0644 0:0\nold\n", "0644 0:0\nnew\n")
	since(true)
	if changes, err := j.Changes(); err != nil || len(changes) != 1 {
		t.Errorf("%v, %v", changes, err)
	}
}
