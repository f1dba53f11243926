package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/hostfs"
)

// What a file system refuses is a sentence that tells the way out, and the file
// stays as it was, with nothing beside it.
func TestRefusedByTheFileSystem(t *testing.T) {
	long := "0644 0:0\n" + strings.Repeat("x", 1<<17)
	for _, test := range []struct {
		name    string
		to      string
		refuse  func(dir string) error // dir/etc/x is the file
		restore func(dir string) error
		err     error
		want    string
	}{
		{"read-only", "0644 0:0\nnew\n", func(dir string) error { return unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, "") },
			func(dir string) error { return unix.Mount("", dir, "", unix.MS_REMOUNT, "") },
			unix.EROFS, "read-only file system; its file system is read-only: remount it, or change what the system's image is made from"},
		{"full", long, func(string) error { return nil }, func(string) error { return nil },
			unix.ENOSPC, "no space left on device; make room on its file system"},
		{"immutable", "0644 0:0\nnew\n", func(dir string) error { return immutable(dir+"/etc/x", true) },
			func(dir string) error { return immutable(dir+"/etc/x", false) },
			unix.EPERM, "operation not permitted; it is marked immutable: chattr -i /etc/x"},
		{"immutable folder", "0644 0:0\nnew\n", func(dir string) error { return immutable(dir+"/etc", true) },
			func(dir string) error { return immutable(dir+"/etc", false) },
			unix.EPERM, "operation not permitted; it is marked immutable: chattr -i /etc"},
	} {
		t.Run(test.name, func(t *testing.T) {
			hosttest.InMountNamespace(t, func(t *testing.T) {
				h := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
				dir := t.TempDir()
				if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
				hosttest.WriteFile(t, dir+"/etc/x", "old\n")
				h.Root = hostfs.Root(dir)
				if err := test.refuse(dir); err != nil {
					t.Error(err)
					return
				}
				c := change.Change{Kind: change.KindFile, Path: "/etc/x", From: "0644 0:0\nold\n", To: test.to}
				err := Apply(h, c)
				if !errors.Is(err, test.err) || !strings.HasSuffix(err.Error(), test.want) {
					t.Errorf("got %v", err)
				}
				if err := test.restore(dir); err != nil {
					t.Error(err)
				}
				text, err := os.ReadFile(dir + "/etc/x")
				files, _ := filepath.Glob(dir + "/etc/*")
				half, _ := filepath.Glob(dir + "/.x*")
				if err != nil || string(text) != "old\n" || len(files) != 1 || len(half) > 0 {
					t.Errorf("%q, %v; there are %v and %v", text, err, files, half)
				}
			})
		})
	}
}

// immutable sets or clears what chattr +i does.
func immutable(file string, on bool) error {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	const flag = 0x10 // FS_IMMUTABLE_FL of linux/fs.h
	if flags &^= flag; on {
		flags |= flag
	}
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags)
}

// A file that is replaced keeps its owner, its mode, SELinux's label, its access
// list and what else it is marked with, and a new one has its folder's label.
func TestFileKeepsItsAttributes(t *testing.T) {
	hosttest.NeedRoot(t)
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- etc/x --\nold\n")}
	// user::rw- user:1000:rw- group::r-- mask::rw- other::---, as acl(5) is on disk
	acl := []byte("\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x06\x00\xe8\x03\x00\x00" +
		"\x04\x00\x04\x00\xff\xff\xff\xff" + "\x10\x00\x06\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff")
	label := []byte("system_u:object_r:virt_etc_t:s0\x00")
	attributes := map[string][]byte{"user.note": []byte("mine"), "security.selinux": label, "trusted.empty": {}, "system.posix_acl_access": acl}
	file := h.Root.Path("etc/x")
	hosttest.Must(t, os.Chown(file, 5, 6))
	for name, value := range attributes {
		if err := unix.Setxattr(file, name, value, 0); errors.Is(err, unix.ENOTSUP) {
			t.Logf("the file system has no %s", name)
			delete(attributes, name)
		} else {
			hosttest.Must(t, err)
		}
	}
	if len(attributes) < 2 {
		t.Fatal("the folder of temporary files is on a file system without extended attributes; set TMPDIR to one on ext4, xfs or btrfs")
	}
	from, err := change.Look(h, change.KindFile, "/etc/x")
	hosttest.Must(t, err)
	for _, c := range []change.Change{
		{Kind: change.KindFile, Path: "/etc/x", From: from, To: strings.Replace(from, "old", "new", 1)},
		{Kind: change.KindFile, Path: "/etc/x", From: strings.Replace(from, "old", "new", 1), To: from},
	} {
		hosttest.Must(t, Apply(h, c))
		if now, err := change.Look(h, change.KindFile, "/etc/x"); err != nil || now != c.To {
			t.Errorf("%q, %v", now, err)
		}
		for name, want := range attributes {
			got := make([]byte, 256)
			n, err := unix.Getxattr(file, name, got)
			if err != nil || !bytes.Equal(got[:n], want) {
				t.Errorf("%s is %q, %v; it was %q", name, got[:max(n, 0)], err, want)
			}
		}
	}

	hosttest.Must(t, unix.Setxattr(h.Root.Path("etc"), "security.selinux", label, 0))
	y := change.Change{Kind: change.KindFile, Path: "/etc/y", To: "0644 0:0\n"}
	hosttest.Must(t, Apply(h, y))
	got := make([]byte, 256)
	if n, err := unix.Getxattr(h.Root.Path("etc/y"), "security.selinux", got); err != nil || !bytes.Equal(got[:n], label) {
		t.Errorf("a new file's label is %q, %v", got[:max(n, 0)], err)
	}

	// Where SELinux is on, what is new has the label of its rules.
	for name, text := range map[string]string{
		"sys/fs/selinux/enforce":                            "0",
		"etc/selinux/targeted/contexts/files/file_contexts": "/etc/hooks(/.*)?\tsystem_u:object_r:virt_hook_t:s0\n",
	} {
		hosttest.WriteFile(t, h.Root.Path(name), text)
	}
	for _, c := range []change.Change{
		{Kind: change.KindMkdir, Path: "/etc/hooks", To: "0755 0:0"},
		{Kind: change.KindFile, Path: "/etc/hooks/y", To: "0644 0:0\n"},
	} {
		hosttest.Must(t, Apply(h, c))
		if n, err := unix.Getxattr(h.Root.Path(c.Path), "security.selinux", got); err != nil || string(got[:max(n, 0)]) != "system_u:object_r:virt_hook_t:s0\x00" {
			t.Errorf("the label of %s is %q, %v", c.Path, got[:max(n, 0)], err)
		}
	}
}
