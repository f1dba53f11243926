package host

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Bits of a file's mode for one class of users.
const (
	MayRead   = 4
	MayWrite  = 2
	MaySearch = 1
)

// Lstat looks at a host path without following a symbolic link at its end.
// The result is nil where nothing is there.
func (h Host) Lstat(path string) (*unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Lstat(h.Root.Path(path), &st)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return &st, nil
}

func IsDir(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFDIR }

// Missing returns the bits that a file's mode lacks for a user to have what is
// wanted. As in the kernel only one class counts: the owner's bits for the
// owner, else the group's for its members, else the others'.
func Missing(u User, st *unix.Stat_t, want uint32) uint32 {
	switch {
	case u.UID == 0:
		return 0
	case uint32(u.UID) == st.Uid:
		want <<= 6
	case u.In(int(st.Gid)):
		want <<= 3
	}
	return want &^ st.Mode
}

// ModeText writes a mode as chmod takes it: 0755.
func ModeText(mode uint32) string { return fmt.Sprintf("%04o", mode&0o7777) }

// OwnerText writes mode and owner of a file: 0755 0:0.
func OwnerText(st *unix.Stat_t) string {
	return fmt.Sprintf("%s %d:%d", ModeText(st.Mode), st.Uid, st.Gid)
}
