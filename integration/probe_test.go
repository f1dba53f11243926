package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/probe"
	"vmhuge/internal/pages"
)

// above has libvirt use a mount below a folder of this mode, which no check
// looks at.
func above(mode os.FileMode) func(t *testing.T) {
	const outer, point = "/run/vmhuge-above", "/run/vmhuge-above/huge"
	return all(func(t *testing.T) {
		if err := errors.Join(os.MkdirAll(point, 0o755), unix.Mount("hugetlbfs", point, "hugetlbfs", 0, "pagesize=2M"), os.Chmod(outer, mode)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(unix.Unmount(point, 0), os.RemoveAll(outer)); err != nil {
				t.Error(err)
			}
		})
	}, file(qemuConf, fmt.Sprintf("hugetlbfs_mount = [%q]\n", point), 0o600))
}

func TestFaultsOfProbe(t *testing.T) {
	runFaults(t, []fault{
		{name: "folder-above-0755", setup: restarted(above(0o755)), verdict: hostprep.Ready},
		{name: "folder-above-0700", setup: restarted(above(0o700)), verdict: hostprep.NoAccess, says: noOpen, cause: "folder-mode"},
	})
}

// TestProbeLeavesNothing kills the probing process at any moment, and then compares the
// mount and the pools with before.
func TestProbeLeavesNothing(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 1)
	text, err := json.Marshal(probe.Probe{Mount: mount2M, Dir: libvirtDir + "/qemu", Size: pages.Size2MiB, UID: 64055, GID: 64055, Groups: []int{64055}, Map: true})
	if err != nil {
		t.Fatal(err)
	}
	args := []string{probe.Command, string(text)}
	for _, name := range []string{"vmhuge", "vmhuge-hook"} {
		program := filepath.Join(scratch, "bin", name)
		began := time.Now()
		if out, err := exec.Command(program, args...).Output(); err != nil || !strings.Contains(string(out), `"step":""`) {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		whole := time.Since(began)
		for i := range 40 {
			cmd := exec.Command(program, args...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(whole * time.Duration(i) / 40)
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	if files, err := os.ReadDir(libvirtDir + "/qemu"); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}
