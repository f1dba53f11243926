package journal

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

func TestJournalRefuses(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
	j := Journal{Host: h}
	for _, c := range []change.Change{
		{Kind: change.KindPool, Path: "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", From: "1", To: "2"},
		{Kind: "", Path: "/dev/hugepages", From: "1", To: "2"},
		{Kind: change.KindChmod, Path: "dev/hugepages", From: "0755", To: "0700"},
		{Kind: change.KindChmod, Path: "/dev/hugepages", From: "0755", To: "0755"},
	} {
		good := change.Change{Kind: change.KindChmod, Path: "/dev/hugepages", From: "0755", To: "0711"}
		if err := j.Apply([]change.Change{good, c}); err == nil {
			t.Errorf("%+v was made", c)
		}
		if err := Apply(h, c); err == nil && c.From != c.To && c.Path[0] == '/' {
			t.Errorf("%+v was made", c)
		}
	}
	if _, err := os.Stat(h.Root.Path("var")); !os.IsNotExist(err) {
		t.Errorf("refused changes were recorded: %v", err)
	}
}

// A mount would be the machine's own, not one of the folder that stands for a host.
func TestNoMountOfAFixture(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
	c := change.Change{Kind: change.KindMount, Path: "/run", To: "pagesize=2M"}
	if err := Apply(h, c); err == nil || !strings.Contains(err.Error(), "mount changes only the running system") {
		t.Errorf("got %v", err)
		_ = unix.Unmount(h.Root.Path("run"), unix.MNT_DETACH)
	}
}

func TestJournalOfAnotherShape(t *testing.T) {
	for text, want := range map[string]string{
		`{"version":2,"changes":{}}`: "version 2",
		`{}`:                         "version 0",
		`{"version":1,"changes":[{"kind":"chmod","path":"/x","from":"0700","to":"0755","boot":"b"`:     "unexpected end",
		`{"version":1,"changes":[{"kind":"format","path":"/x","from":"0700","to":"0755","boot":"b"}]}`: "not a kind of change",
		`{"version":1,"changes":[],"more":1}`:                                                          "unknown field",
		`{"version":1,"changes":[]} x`:                                                                 "invalid character",
		``:                                                                                             "unexpected end",
	} {
		h := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
		path := h.Root.Path("var/lib/vmhuge/changes.json")
		hosttest.WriteFile(t, path, text)
		j := Journal{Host: h}
		_, _, undo := j.Undo()
		_, list := j.Changes()
		apply := j.Apply([]change.Change{{Kind: change.KindChmod, Path: "/dev/hugepages", From: "0755", To: "0711"}})
		for _, err := range []error{undo, list, apply} {
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v; want %q", text, err, want)
			}
		}
		after, err := os.ReadFile(path)
		st, serr := os.Stat(h.Root.Path("dev/hugepages"))
		if err != nil || serr != nil || string(after) != text || st.Mode().Perm() != 0o755 {
			t.Errorf("%s: something was touched: %s, %v, %v, %v", text, after, st.Mode(), err, serr)
		}
	}
}

func TestJournalOrderAndRights(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- modes --\ndev/hugepages/libvirt/qemu/7-web1/ 0700 0:0\n")}
	j := Journal{Host: h}
	qemu := "/dev/hugepages/libvirt/qemu"
	first := []change.Change{{Kind: change.KindRmdir, Path: qemu + "/7-web1", From: "0700 0:0"}, {Kind: change.KindChmod, Path: qemu, From: "0755", To: "0711"}}
	second := []change.Change{{Kind: change.KindChmod, Path: qemu, From: "0711", To: "0700"}}
	hosttest.Must(t, j.Apply(first))
	hosttest.Must(t, j.Apply(second))
	hosttest.Must(t, j.Apply(nil))
	for path, want := range map[string]os.FileMode{"var/lib/vmhuge": os.ModeDir | 0o700, "var/lib/vmhuge/changes.json": 0o600} {
		if st, err := os.Stat(h.Root.Path(path)); err != nil || st.Mode() != want {
			t.Errorf("%s is %v, %v; want %v", path, st.Mode(), err, want)
		}
	}
	undone, left, err := j.Undo()
	if diff := cmp.Diff([]change.Change{second[0], first[1], first[0]}, undone); err != nil || len(left) > 0 || diff != "" {
		t.Errorf("-want +got:\n%s%v, %v", diff, left, err)
	}
}

// An undo that was killed while it wrote a file has left the change made, and its half
// beside it: the next preparation has nothing to change there.
func TestFinish(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- etc/x --\nnew\n-- etc/.x.vmhuge --\nol")}
	hosttest.Must(t, os.Rename(h.Root.Path("etc/.x.vmhuge"), h.Root.Path(".x.vmhuge"))) // the folder above
	j := Journal{Host: h}
	hosttest.Must(t, j.Finish())
	if _, err := os.Stat(h.Root.Path("var")); !os.IsNotExist(err) {
		t.Errorf("it has made a record: %v", err)
	}
	j.record(t, change.Change{Kind: change.KindFile, Path: "/etc/x", From: "0644 0:0\nold\n", To: "0644 0:0\nnew\n"})
	hosttest.Must(t, j.Finish())
	if _, err := os.Lstat(h.Root.Path(".x.vmhuge")); !os.IsNotExist(err) {
		t.Errorf("the half is left: %v", err)
	}
	if changes, err := j.Changes(); len(changes) != 1 || err != nil {
		t.Errorf("on record: %v, %v", changes, err)
	}
}

// A kill may leave what was to be the record's next text. Nobody reads it, and it
// goes with the next change, or undo.
func TestJournalHalfWritten(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
	j := Journal{Host: h}
	half := h.Root.Path("var/lib/vmhuge/.tmp-1")
	gone := func(when string) {
		if _, err := os.Stat(half); !os.IsNotExist(err) {
			t.Errorf("%s it is still there: %v", when, err)
		}
	}
	hosttest.WriteFile(t, half, "{")
	_, _, err := j.Undo()
	hosttest.Must(t, err)
	gone("with nothing to undo,")
	hosttest.WriteFile(t, half, "{")
	hosttest.Must(t, j.Apply([]change.Change{{Kind: change.KindMkdir, Path: "/dev/hugepages1G", To: "0755 0:0"}}))
	gone("after a change")
}

// What can't be taken back now stays on record for the next time.
func TestUndoTriesAgain(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
	j := Journal{Host: h}
	c := change.Change{Kind: change.KindMkdir, Path: "/dev/hugepages1G", To: "0755 0:0"}
	hosttest.Must(t, j.Apply([]change.Change{c}))
	hosttest.WriteFile(t, h.Root.Path("dev/hugepages1G/file"), "x")
	undone, left, err := j.Undo()
	if err != nil || len(undone) != 0 || len(left) != 1 || !left[0].Again || !strings.Contains(left[0].Reason, "not empty") {
		t.Errorf("undone %v, left %v, %v", undone, left, err)
	}
	hosttest.Must(t, os.Remove(h.Root.Path("dev/hugepages1G/file")))
	undone, left, err = j.Undo()
	if diff := cmp.Diff([]change.Change{c}, undone); err != nil || len(left) > 0 || diff != "" {
		t.Errorf("-want +got:\n%s%v, %v", diff, left, err)
	}
}

// A folder on disk in which others keep something is theirs from then on.
func TestUndoLeavesAFolderInUse(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
	j := Journal{Host: h}
	hosttest.Must(t, j.Apply([]change.Change{{Kind: change.KindMkdir, Path: "/etc/d", To: "0755 0:0"}, {Kind: change.KindFile, Path: "/etc/d/ours", To: "0644 0:0\nx"}}))
	hosttest.WriteFile(t, h.Root.Path("etc/d/theirs"), "x")
	undone, left, err := j.Undo()
	if err != nil || len(undone) != 1 || len(left) != 1 || left[0].Again || left[0].Reason != "it holds files that are not vmhuge's" {
		t.Errorf("undone %v, left %v, %v", undone, left, err)
	}
	if undone, left, err := j.Undo(); err != nil || len(undone)+len(left) > 0 {
		t.Errorf("undone %v, left %v, %v", undone, left, err)
	}
}

// Several processes may write the record at once; here each is a goroutine
// with a file of its own to lock.
func TestJournalKeepsOthersOut(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
	var group sync.WaitGroup
	for _, name := range strings.Split("abcdefghijkl", "") {
		group.Add(1)
		go func() {
			defer group.Done()
			c := change.Change{Kind: change.KindMkdir, Path: "/dev/" + name, To: "0755 0:0"}
			if err := (Journal{Host: h}).Apply([]change.Change{c}); err != nil {
				t.Error(err)
			}
			if name < "g" {
				if _, left, err := (Journal{Host: h}).Undo(); err != nil || len(left) > 0 {
					t.Error(left, err)
				}
			}
		}()
	}
	group.Wait()
	if _, left, err := (Journal{Host: h}).Undo(); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
	for _, name := range strings.Split("abcdefghijkl", "") {
		if _, err := os.Stat(h.Root.Path("dev", name)); !os.IsNotExist(err) {
			t.Errorf("/dev/%s is still there: %v", name, err)
		}
	}
}
