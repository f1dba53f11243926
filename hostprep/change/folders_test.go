package change

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// What root runs lies in folders that only root may write to. A user in an access list
// shows in the group's bits of the mode alone, which are the list's mask.
func TestRootFoldersAreRootsAlone(t *testing.T) {
	hosttest.NeedRoot(t)
	const dir = "/etc/libvirt/hooks"
	acl := "\x02\x00\x00\x00" + // user::rwx user:1000:rwx group::r-x mask::rwx other::r-x, as acl(5) is on disk
		"\x01\x00\x07\x00\xff\xff\xff\xff" + "\x02\x00\x07\x00\xe8\x03\x00\x00" + "\x04\x00\x05\x00\xff\xff\xff\xff" +
		"\x10\x00\x07\x00\xff\xff\xff\xff" + "\x20\x00\x05\x00\xff\xff\xff\xff"
	for name, test := range map[string]struct {
		change func(path string) error
		says   string // "": it is accepted
	}{
		"root's alone":      {func(string) error { return nil }, ""},
		"another user's":    {func(p string) error { return os.Chown(p, 1000, 0) }, "0755 1000:0"},
		"everybody's":       {func(p string) error { return os.Chmod(p, 0o777) }, "0777 0:0"},
		"another group's":   {func(p string) error { return os.Chown(p, 0, 107) }, ""},
		"a group may write": {func(p string) error { return os.Chmod(p, 0o775) }, "0775 0:0"},
		"in an access list": {func(p string) error { return unix.Setxattr(p, "system.posix_acl_access", []byte(acl), 0) }, "getfacl " + dir},
		"masked by go-w":    {func(p string) error { return cutAccessList(p, acl) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- modes --\n"+dir[1:]+"/ 0755 0:0\n")}
			hosttest.Must(t, test.change(h.Root.Path(dir)))
			_, err := RootFolders(h, dir+"/qemu.d")
			if (err != nil) != (test.says != "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v; it should say %q", err, test.says)
			}
		})
	}
}

// cutAccessList does what RootsAlone advises.
func cutAccessList(path, acl string) error {
	if err := unix.Setxattr(path, "system.posix_acl_access", []byte(acl), 0); err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}
