package integration

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOtherRun runs vmhuge where /run is another one, beside a guest of vmhuge's: it would
// change the same pools without the ledger.
func TestOtherRun(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	first, second := define(t, guest{name: guestPrefix + "first", backing: pages2M}), define(t, guest{backing: pages2M})
	done(t, "start", "--paused", nameOf(t, first))
	before := readTestPools(t)
	inside := func(keeps, command string) (string, error) { // folders of /run, and not the rest
		t.Helper()
		script := "set -e; kept=$(mktemp -d); cd /run; for dir in " + keeps + "; do mkdir $kept/$dir; mount --bind $dir $kept/$dir; done\n" +
			"mount -t tmpfs tmpfs /run; cd /run; for dir in " + keeps + "; do mkdir $dir; mount --move $kept/$dir $dir; done; rm -r $kept\n"
		out, err := exec.Command("unshare", "-m", "sh", "-c", script+command).CombinedOutput()
		return string(out), err
	}
	binary := filepath.Join(scratch, "bin", "vmhuge")
	for _, command := range []string{"start --paused " + nameOf(t, second), "prepare --pages 40", "stop --force --timeout 0s " + nameOf(t, first)} {
		out, err := inside("libvirt", binary+" "+command)
		t.Logf("%s: %v\n%s", command, err, out)
		if strings.HasPrefix(command, "stop") {
			continue
		}
		if err == nil || !strings.Contains(out, "/run/vmhuge is not the one that process 1 has") || !strings.Contains(out, "nsenter --target 1 --mount vmhuge") {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
		if diff := cmp.Diff(before, readTestPools(t)); diff != "" {
			t.Errorf("%s: %s", command, diff)
		}
	}
	// With the host's ledger it is the host's vmhuge.
	out, err := inside("libvirt vmhuge", binary+" start --paused "+nameOf(t, second))
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, name := range []string{nameOf(t, first), nameOf(t, second)} {
		done(t, "stop", "--force", "--timeout", "0s", name)
	}
	wantClaims(t)
}
