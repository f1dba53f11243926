package libvirtd

import (
	"os/exec"
	"testing"
	"time"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/process"
)

// TestStartTime wants more than the whole seconds of btime: what changed just before a
// process started is older than it.
func TestStartTime(t *testing.T) {
	h := host.Host{Root: "/"}
	for range 5 {
		time.Sleep(210 * time.Millisecond) // somewhere else in the second
		before := time.Now()
		cmd := exec.Command("sleep", "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		after := time.Now()
		p, err := process.Find(h.Root, cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		const tick = 10 * time.Millisecond
		if got, err := startTime(h, p); err != nil || got.Before(before.Add(-2*tick)) || got.After(after.Add(tick)) {
			t.Errorf("started at %s, %v; it was between %s and %s", got, err, before, after)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}
