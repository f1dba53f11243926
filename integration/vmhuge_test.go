package integration

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vmhuge/docs/schema"
)

// result is what a run of vmhuge gave.
type result struct {
	Stdout, Stderr string
	Code           int
}

// vmhuge runs the real program, and holds what it answers in JSON to its schema.
func vmhuge(t *testing.T, args ...string) result {
	t.Helper()
	ctx := t.Context()
	if !isMicroVM(t) { // that is as slow as its host is busy: only the test's own limit counts there
		limited, cancel := context.WithTimeout(ctx, 3*time.Minute)
		defer cancel()
		ctx = limited
	}
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(ctx, filepath.Join(scratch, "bin", "vmhuge"), args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() < 0) {
		t.Fatalf("vmhuge %q: %v\n%s", args, err, stderr.String())
	}
	r := result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	if other := strings.ReplaceAll(r.Stdout+r.Stderr, "libvirtd or virtqemud", ""); libvirtdName != "libvirtd" && strings.Contains(other, "libvirtd") {
		t.Errorf("vmhuge %q speaks of libvirtd, where %s runs:\n%s", args, libvirtdName, other)
	}
	if err := schema.CheckRun(args, r.Code, r.Stdout, r.Stderr); err != nil {
		t.Error(err)
	}
	return r
}
