package journal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// A file is whole or not there, and until it is whole it lies above its
// folder. What a kill leaves of it there goes with the next change.
func TestHalfWrittenFile(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
	j := Journal{Host: h}
	half := h.Root.Path("etc/.x.vmhuge")
	hosttest.WriteFile(t, h.Root.Path("etc/d/other"), "")
	c := change.Change{Kind: change.KindFile, Path: "/etc/d/x", To: "0600 0:0\ntext"}
	gone := func(t *testing.T) {
		t.Helper()
		if _, err := os.Stat(half); !os.IsNotExist(err) {
			t.Errorf("what was half written is still there: %v", err)
		}
	}

	hosttest.WriteFile(t, half, "te")
	hosttest.Must(t, j.Apply([]change.Change{c}))
	gone(t)
	st, err := os.Stat(h.Root.Path(c.Path))
	if text, terr := os.ReadFile(h.Root.Path(c.Path)); err != nil || terr != nil || string(text) != "text" || st.Mode() != 0o600 {
		t.Errorf("%q, %v, %v, %v", text, st, err, terr)
	}
	hosttest.WriteFile(t, half, "te")
	if undone, left, err := j.Undo(); err != nil || len(undone) != 1 || len(left) != 0 {
		t.Errorf("undone %v, left %v, %v", undone, left, err)
	}
	gone(t)
	hosttest.WriteFile(t, half, "te")
	j.record(t, c) // killed before the rename
	if undone, left, err := j.Undo(); err != nil || len(undone) != 0 || len(left) != 1 {
		t.Errorf("undone %v, left %v, %v", undone, left, err)
	}
	gone(t)

	// The file system is full, or the program is another one than was looked at.
	program := h.Root.Path("program")
	hosttest.WriteFile(t, program, "other\n")
	bad := change.Change{Kind: change.KindCopy, Path: "/etc/d/x", To: "0755 0:0 sha256:1", Source: program}
	if err := j.Apply([]change.Change{bad}); err == nil || !strings.Contains(err.Error(), program+" has changed meanwhile") {
		t.Errorf("got %v", err)
	}
	gone(t)
	entries, err := os.ReadDir(h.Root.Path("etc/d"))
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
	if record, err := j.Changes(); err != nil || len(record) > 0 {
		t.Errorf("on record: %v, %v", record, err)
	}
}

// Links, folders, pipes and whatever is too long are not read and not replaced.
func TestIrregularFile(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
	hosttest.WriteFile(t, h.Root.Path("etc/real"), "text")
	for name, make := range map[string]func(path string) error{
		"link":   func(path string) error { return os.Symlink("real", path) },
		"folder": func(path string) error { return os.Mkdir(path, 0o755) },
		"pipe":   func(path string) error { return unix.Mkfifo(path, 0o644) },
		"long": func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, change.MaxFileText+1))
		},
	} {
		hosttest.Must(t, make(h.Root.Path("etc", name)))
		for _, c := range []change.Change{
			{Kind: change.KindFile, Path: "/etc/" + name, To: "0644 0:0\nnew"},
			{Kind: change.KindFile, Path: "/etc/" + name, From: "0644 0:0\ntext"},
			{Kind: change.KindFile, Path: "/etc/" + name, From: "0777 0:0\ntext", To: "0644 0:0\nnew"},
		} {
			if err := Apply(h, c); err == nil {
				t.Errorf("%s: %s was made", name, c)
			}
		}
	}
	if text, err := os.ReadFile(h.Root.Path("etc/real")); err != nil || string(text) != "text" {
		t.Errorf("the file behind the link is %q, %v", text, err)
	}
}

// A record does not grow with each upgrade, and takes back the whole way.
func TestRecordMerges(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
	j := Journal{Host: h, Name: "other.json"}
	dir := change.Change{Kind: change.KindMkdir, Path: "/etc/d", To: "0755 0:0"}
	file := func(from, to string) change.Change {
		return change.Change{Kind: change.KindFile, Path: "/etc/d/x", From: from, To: to}
	}
	a, b := "0644 0:0\na", "0644 0:0\nb"
	hosttest.WriteFile(t, h.Root.Path("etc/program"), "program\n")
	source := programCopy("/etc", "")
	source.Path, source.Source = "/etc/d/p", h.Root.Path("etc/program")
	older := source
	older.To = strings.Replace(source.To, "0755", "0700", 1)
	newer := source
	newer.From = older.To
	for _, step := range []struct{ changes, want []change.Change }{
		{[]change.Change{dir, file("", a)}, []change.Change{dir, file("", a)}},
		{[]change.Change{file(a, b), older}, []change.Change{dir, file("", b), older}},
		{[]change.Change{newer}, []change.Change{dir, file("", b), source}},
		{[]change.Change{file(b, "")}, []change.Change{dir, source}},
		{[]change.Change{source.Reverse()}, []change.Change{dir}},
		{[]change.Change{dir.Reverse()}, []change.Change{}},
		{[]change.Change{dir, older}, []change.Change{dir, older}},
		{[]change.Change{newer}, []change.Change{dir, source}},
	} {
		hosttest.Must(t, j.Apply(step.changes))
		got, err := j.Changes()
		if diff := cmp.Diff(step.want, got); err != nil || diff != "" {
			t.Errorf("after %v on record (-want +got):\n%s%v", step.changes, diff, err)
		}
	}
	if record, err := (Journal{Host: h}).Changes(); err != nil || len(record) > 0 {
		t.Errorf("on the other record: %v, %v", record, err)
	}
	if undone, left, err := j.Undo(); err != nil || len(undone) != 2 || len(left) > 0 {
		t.Errorf("undone %v, left %v, %v", undone, left, err)
	}
	if _, err := os.Stat(h.Root.Path("etc/d")); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// Killed at any point of an upgrade, nothing of either version stays.
func TestUpgradeKilled(t *testing.T) {
	for _, made := range []bool{false, true} {
		h := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
		j := Journal{Host: h}
		hosttest.WriteFile(t, h.Root.Path("etc/source"), "program\n")
		newer := programCopy("/etc", "0755 0:0 sha256:old")
		newer.Source = h.Root.Path("etc/source")
		hosttest.WriteFile(t, filepath.Join(h.Root.Path("etc/old")), "old program\n")
		sum, err := change.HashFile(h.Root.Path("etc/old"))
		hosttest.Must(t, err)
		older := change.Change{Kind: change.KindCopy, Path: newer.Path, To: "0755 0:0 " + sum, Source: h.Root.Path("etc/old")}
		newer.From = older.To
		hosttest.Must(t, j.Apply([]change.Change{older}))
		hosttest.Must(t, j.Adopt([]change.Change{newer}))
		if made {
			hosttest.Must(t, Apply(h, newer))
		}
		undone, _, err := j.Undo()
		if _, serr := os.Stat(h.Root.Path("etc/x")); err != nil || len(undone) != 1 || !os.IsNotExist(serr) {
			t.Errorf("undone %v, %v; %v", undone, err, serr)
		}
	}
}
