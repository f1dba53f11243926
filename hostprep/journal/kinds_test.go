package journal

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// kindCase is how a test has one kind of change done below a folder.
type kindCase struct {
	kind    change.Kind
	name    string // of a second case of that kind
	change  func(dir string) change.Change
	before  func(dir string) error // makes From
	foreign func(dir string) error // makes something else of To or From
	gone    func(dir string) error // takes away what it is in; nil: dir
	disk    bool                   // outlives a reboot
	yesNo   bool                   // there is nothing but To and From
}

var kindCases = []kindCase{
	{
		kind: change.KindChmod,
		change: func(dir string) change.Change {
			return change.Change{Kind: change.KindChmod, Path: dir + "/x", From: "0700", To: "0711"}
		},
		before:  func(dir string) error { return os.Mkdir(dir+"/x", 0o700) },
		foreign: func(dir string) error { return os.Chmod(dir+"/x", 0o777) },
	},
	{
		kind: change.KindChown,
		change: func(dir string) change.Change {
			return change.Change{Kind: change.KindChown, Path: dir + "/x", From: "0:0", To: "0:107"}
		},
		before:  func(dir string) error { return os.Mkdir(dir+"/x", 0o755) },
		foreign: func(dir string) error { return os.Chown(dir+"/x", 1, 1) },
	},
	{
		kind: change.KindLink,
		change: func(dir string) change.Change {
			return change.Change{Kind: change.KindLink, Path: dir + "/x", To: "../y"}
		},
		before:  func(dir string) error { return nil },
		foreign: func(dir string) error { return errors.Join(os.RemoveAll(dir+"/x"), os.Symlink("../z", dir+"/x")) },
		disk:    true,
	},
	{
		kind: change.KindLink, name: " to another target",
		change: func(dir string) change.Change {
			return change.Change{Kind: change.KindLink, Path: dir + "/x", From: "../y", To: "../z"}
		},
		before:  func(dir string) error { return os.Symlink("../y", dir+"/x") },
		foreign: func(dir string) error { return errors.Join(os.RemoveAll(dir+"/x"), os.Symlink("../w", dir+"/x")) },
		disk:    true,
	},
	{
		kind: change.KindMkdir,
		change: func(dir string) change.Change {
			return change.Change{Kind: change.KindMkdir, Path: dir + "/x", To: "0750 0:107"}
		},
		before:  func(dir string) error { return nil },
		foreign: func(dir string) error { return errors.Join(os.RemoveAll(dir+"/x"), os.Mkdir(dir+"/x", 0o701)) },
		disk:    true,
	},
	{
		kind: change.KindRmdir,
		change: func(dir string) change.Change {
			return change.Change{Kind: change.KindRmdir, Path: dir + "/x", From: "0700 64055:107"}
		},
		before:  func(dir string) error { return errors.Join(os.Mkdir(dir+"/x", 0o700), os.Chown(dir+"/x", 64055, 107)) },
		foreign: func(dir string) error { return errors.Join(os.RemoveAll(dir+"/x"), os.Mkdir(dir+"/x", 0o701)) },
	},
	{
		kind: change.KindMount,
		change: func(dir string) change.Change {
			return change.Change{Kind: change.KindMount, Path: dir + "/x", To: "pagesize=2M"}
		},
		before:  func(dir string) error { return os.Mkdir(dir+"/x", 0o755) },
		foreign: func(dir string) error { return unix.Mount("hugetlbfs", dir+"/x", "hugetlbfs", 0, "mode=700") },
	},
	{
		kind: change.KindFile,
		change: func(dir string) change.Change {
			return change.Change{Kind: change.KindFile, Path: dir + "/x", From: "0644 0:0\nold\n", To: "0640 0:107\nnew\n"}
		},
		before:  func(dir string) error { return os.WriteFile(dir+"/x", []byte("old\n"), 0o644) },
		foreign: func(dir string) error { return os.WriteFile(dir+"/x", []byte("theirs\n"), 0o644) },
		disk:    true,
	},
	{
		kind: change.KindSysfs,
		change: func(dir string) change.Change {
			return change.Change{Kind: change.KindSysfs, Path: dir + "/x", From: "never", To: "madvise"}
		},
		before:  func(dir string) error { return os.WriteFile(dir+"/x", []byte("always madvise [never]\n"), 0o644) },
		foreign: func(dir string) error { return os.WriteFile(dir+"/x", []byte("[always] madvise never\n"), 0o644) },
	},
	{ // of the namespace's own /etc
		kind:   change.KindMember,
		change: func(string) change.Change { return change.NewMember("alice", "kvm") },
		before: func(string) error {
			return os.WriteFile(change.GroupFile, []byte("kvm:x:107:bob\nalice:x:1000:\n"), 0o644)
		},
		foreign: func(string) error {
			if exec.Command("gpasswd", "-d", "alice", "kvm").Run() == nil {
				return nil
			}
			return exec.Command("gpasswd", "-a", "alice", "kvm").Run()
		},
		gone:  func(string) error { return os.Remove(change.GroupFile) },
		disk:  true,
		yesNo: true,
	},
	{
		kind: change.KindKernelArgs,
		change: func(dir string) change.Change {
			return change.Change{Kind: change.KindKernelArgs, Path: dir + "/x", To: "hugepagesz=1G hugepages=2"}
		},
		before:  func(dir string) error { return writeEntries(dir, "quiet") },
		foreign: func(dir string) error { return writeEntries(dir, "quiet vmhuge.begin hugepages=1 vmhuge.end") },
		disk:    true,
	},
	{
		kind:    change.KindCopy,
		change:  func(dir string) change.Change { return programCopy(dir, "") },
		before:  func(dir string) error { return os.WriteFile(dir+"/source", []byte("program\n"), 0o644) },
		foreign: func(dir string) error { return os.WriteFile(dir+"/x", []byte("theirs\n"), 0o755) },
		disk:    true,
	},
}

// writeEntries makes two boot entries, and two that are not to be changed.
func writeEntries(dir, options string) error {
	err := os.MkdirAll(dir+"/x", 0o755)
	for name, kernel := range map[string]string{"a.conf": "linux", "b.conf": "linux", "0-rescue.conf": "linux", "windows.conf": "efi"} {
		err = errors.Join(err, os.WriteFile(dir+"/x/"+name, []byte("title "+name+"\n"+kernel+" /vmlinuz\noptions "+options+"\n"), 0o600))
	}
	return err
}

// programCopy copies dir/source, as kindCases makes it, to dir/x.
func programCopy(dir, from string) change.Change {
	to := fmt.Sprintf("0755 0:0 sha256:%x", sha256.Sum256([]byte("program\n")))
	return change.Change{Kind: change.KindCopy, Path: dir + "/x", From: from, To: to, Source: dir + "/source"}
}

// Every kind, through the Journal, on the real kernel. The record is below
// /var/lib, so that the test runs itself again in a mount namespace with a
// /var/lib and an /etc of its own, in which no mount of the test is seen by others either.
func TestEveryKind(t *testing.T) {
	hosttest.NeedRoot(t)
	if os.Getenv("VMHUGE_TEST_NAMESPACE") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestEveryKind$", "-test.v")
		// What is on a tmpfs is gone after a reboot, and undo knows that. /tmp may be one.
		cmd.Env = append(os.Environ(), "VMHUGE_TEST_NAMESPACE=1", "TMPDIR=/var/tmp")
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestEveryKind") {
			t.Errorf("%s%v", out, err)
		}
		return
	}
	hosttest.Must(t, unix.Mount("tmpfs", "/var/lib", "tmpfs", 0, ""))
	hosttest.Must(t, unix.Mount("tmpfs", "/etc", "tmpfs", 0, ""))
	hosttest.Must(t, os.WriteFile("/etc/passwd", []byte("root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n"), 0o644))
	for _, k := range kindCases {
		if !slices.Contains(change.Kinds(), k.kind) {
			t.Errorf("%s is not in the list of kinds", k.kind)
		}
	}
	for _, kind := range change.Kinds() {
		tested := kind == change.KindPool // TestJournalRefuses
		for _, k := range kindCases {
			if k.kind == kind {
				tested = true
				t.Run(string(kind)+k.name, func(t *testing.T) { testKind(t, k) })
			}
		}
		if !tested {
			t.Errorf("no case for the kind %s", kind)
		}
	}
}

func testKind(t *testing.T, k kindCase) {
	h := host.Host{Root: "/"}
	j := Journal{Host: h}
	// start returns a change whose From is there, and what it finds now.
	start := func(t *testing.T) (dir string, c change.Change) {
		t.Helper()
		dir = t.TempDir()
		t.Cleanup(func() {
			for unix.Unmount(dir+"/x", unix.MNT_DETACH) == nil {
			}
		})
		hosttest.Must(t, k.before(dir))
		return dir, k.change(dir)
	}
	is := func(t *testing.T, c change.Change, want string) {
		t.Helper()
		got, err := c.Now(h)
		if err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", c.Path, got, err, want)
		}
	}
	recorded := func(t *testing.T, want ...change.Change) {
		t.Helper()
		got, err := j.Changes()
		if diff := cmp.Diff(want, got); err != nil || len(want)+len(got) > 0 && diff != "" {
			t.Errorf("on record -want +got:\n%s%v", diff, err)
		}
	}
	undo := func(t *testing.T, wantUndone int, wantLeft string) {
		t.Helper()
		undone, left, err := j.Undo()
		var reasons []string
		for _, l := range left {
			reasons = append(reasons, l.Reason)
		}
		if err != nil || len(undone) != wantUndone || !strings.Contains(strings.Join(reasons, ","), wantLeft) || wantLeft == "" && len(left) > 0 {
			t.Errorf("undone %v, left %v, %v; want %d and %q", undone, left, err, wantUndone, wantLeft)
		}
		recorded(t)
		if _, err := os.Stat("/var/lib/vmhuge"); !os.IsNotExist(err) {
			t.Errorf("/var/lib/vmhuge was left: %v", err)
		}
	}

	t.Run("there and back", func(t *testing.T) {
		_, c := start(t)
		is(t, c, c.From)
		hosttest.Must(t, j.Apply([]change.Change{c}))
		is(t, c, c.To)
		recorded(t, c)
		undo(t, 1, "")
		is(t, c, c.From)
		undo(t, 0, "")
	})
	t.Run("foreign edit before", func(t *testing.T) {
		dir, c := start(t)
		hosttest.Must(t, k.foreign(dir))
		was, err := c.Now(h)
		hosttest.Must(t, err)
		var foreign *foreignError
		if err := j.Apply([]change.Change{c}); !errors.As(err, &foreign) || foreign.found != was {
			t.Errorf("got %v", err)
		}
		is(t, c, was)
		recorded(t)
	})
	t.Run("foreign edit after", func(t *testing.T) {
		dir, c := start(t)
		hosttest.Must(t, j.Apply([]change.Change{c}))
		hosttest.Must(t, k.foreign(dir))
		was, err := c.Now(h)
		hosttest.Must(t, err)
		if k.yesNo {
			undo(t, 0, "already as it was")
		} else {
			undo(t, 0, "somebody has changed it since")
		}
		is(t, c, was)
	})
	t.Run("killed before it was made", func(t *testing.T) {
		_, c := start(t)
		j.record(t, c)
		undo(t, 0, "already as it was")
		is(t, c, c.From)
	})
	t.Run("killed after it was made", func(t *testing.T) {
		_, c := start(t)
		j.record(t, c)
		hosttest.Must(t, Apply(h, c))
		undo(t, 1, "")
		is(t, c, c.From)
	})
	t.Run("killed while it was made", func(t *testing.T) {
		if _, c := start(t); c.Kind != change.KindSysfs { // the kernel takes a value in one call, a file that stands for it doesn't
			testKilledInside(t, start)
		}
	})
	t.Run("its folder has gone", func(t *testing.T) {
		dir, c := start(t)
		hosttest.Must(t, j.Apply([]change.Change{c}))
		for unix.Unmount(dir+"/x", 0) == nil {
		}
		if k.gone != nil {
			hosttest.Must(t, k.gone(dir))
		}
		hosttest.Must(t, os.RemoveAll(dir))
		undo(t, 0, "no longer exists")
	})
	t.Run("the host has booted since", func(t *testing.T) {
		_, c := start(t)
		hosttest.Must(t, j.Apply([]change.Change{c}))
		records, err := j.read()
		hosttest.Must(t, err)
		records[0].Boot = "another"
		hosttest.Must(t, j.write(records))
		if k.disk {
			undo(t, 1, "")
			return
		}
		undo(t, 0, "already undone it")
		is(t, c, c.To)
	})
	t.Run("the one after it fails", func(t *testing.T) {
		_, c := start(t)
		bad := change.Change{Kind: change.KindChmod, Path: c.Path + "/none", From: "0700", To: "0755"}
		if err := j.Apply([]change.Change{c, bad}); err == nil || !strings.Contains(err.Error(), "the earlier changes were undone") {
			t.Errorf("got %v", err)
		}
		is(t, c, c.From)
		recorded(t)
	})
	t.Run("a symbolic link in the way", func(t *testing.T) {
		dir, c := start(t)
		link := filepath.Join(t.TempDir(), "link")
		hosttest.Must(t, os.Symlink(dir, link))
		c.Path = filepath.Join(link, "x")
		if err := Apply(h, c); err == nil {
			t.Errorf("%s was made", c)
		}
		is(t, k.change(dir), c.From)
	})
}

// record puts a change on record without making it, as a kill does.
func (j Journal) record(t *testing.T, c change.Change) {
	t.Helper()
	unlock, err := j.lock()
	hosttest.Must(t, err)
	defer unlock()
	boot, err := j.Host.Root.BootID()
	hosttest.Must(t, err)
	hosttest.Must(t, j.write([]record{{Change: c, Boot: boot}}))
}

// A link in the place of the folder itself is not followed either.
func TestChangeRefusesALink(t *testing.T) {
	h := host.Host{Root: "/"}
	dir := t.TempDir()
	hosttest.Must(t, os.Mkdir(dir+"/real", 0o700))
	hosttest.Must(t, os.Symlink(dir+"/real", dir+"/x"))
	for _, c := range []change.Change{
		{Kind: change.KindChmod, Path: dir + "/x", From: "0777", To: "0755"}, {Kind: change.KindChmod, Path: dir + "/x", From: "0700", To: "0755"},
		{Kind: change.KindRmdir, Path: dir + "/x", From: "0777 0:0"}, {Kind: change.KindRmdir, Path: dir + "/x", From: "0700 0:0"},
	} {
		if err := Apply(h, c); !errors.Is(err, unix.ENOTDIR) {
			t.Errorf("%s: %v", c, err)
		}
	}
	if st, err := os.Stat(dir + "/real"); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the folder behind the link is %v, %v", st, err)
	}
}

// A folder that libvirt has let everybody search, and in which it has left its
// own, is taken back; one that holds anything else is not.
func TestChangeTakesBackWhatLibvirtUsed(t *testing.T) {
	hosttest.NeedRoot(t)
	h := host.Host{Root: "/"}
	for left, gone := range map[string]bool{"": true, "libvirt/qemu": true, "libvirt/qemu/1-web1": false, "mine": false} {
		c := change.Change{Kind: change.KindMkdir, Path: t.TempDir() + "/alice", To: "0700 1000:1000"}
		hosttest.Must(t, Apply(h, c))
		hosttest.Must(t, os.MkdirAll(filepath.Join(c.Path, left), 0o755))
		hosttest.Must(t, os.Chmod(c.Path, 0o711))
		err := Undo(h, c)
		if _, statErr := os.Stat(c.Path); os.IsNotExist(statErr) != gone || (err == nil) != gone {
			t.Errorf("with %q left: %v, %v", left, err, statErr)
		}
	}
}
