// Package distributions builds vmhuge as distributions do, with their own tools, of the source
// tarball, and runs Debian's tests of installed packages. just distributions installs the tools.
package distributions

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const version = "1.2.3"

// run runs a tool that has to succeed, and returns what it prints.
func run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "VERSION="+version, "SOURCE_DATE_EPOCH=1700000000", "MAINTAINER=Jo Doe <jo@debian.org>", "COMPRESSION=gzip")
	text, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		t.Fatalf("%q: %v\n%s%s", args, err, tail(string(text)), tail(string(exit.Stderr)))
	} else if err != nil {
		t.Fatalf("%v; run: sudo ./just distributions", err)
	}
	return string(text)
}

// tail is the end of a long text.
func tail(text string) string { return text[max(0, len(text)-4000):] }

// source makes the source tarball and the recipes that go with it.
func source(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	run(t, "../../packaging/source", dir)
	return dir
}

// one returns the file of this pattern.
func one(t *testing.T, pattern ...string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(pattern...))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s is %q, %v", pattern, files, err)
	}
	return files[0]
}

// sorted sorts lines.
func sorted(lines string) string {
	return strings.Join(slices.Sorted(strings.SplitSeq(strings.TrimSpace(lines), "\n")), "\n")
}
