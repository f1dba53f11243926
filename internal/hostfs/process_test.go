package hostfs_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/hostfs"
)

func TestMain(m *testing.M) {
	hosttest.HoldMap()
	os.Exit(m.Run())
}

// TestReadGuest waits longer for a guest's RAM to be counted than for a process that
// may be none of ours.
func TestReadGuest(t *testing.T) {
	hosttest.NeedRoot(t)
	const root, gib = hostfs.Root("/"), 1 << 20
	pid, letGo := hosttest.HeldProcess(t, 0)
	time.AfterFunc(2*time.Second, letGo)
	if text, err := root.ReadGuest(pid, "smaps", gib); err != nil || text == "" {
		t.Errorf("held for two seconds: %v", err)
	}
	other, _ := hosttest.HeldProcess(t, 0)
	if _, err := root.ReadProcess(other, "smaps"); !errors.Is(err, hostfs.ErrHeld) {
		t.Errorf("held for ever: %v", err)
	}
}
