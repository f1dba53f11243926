package journal

import (
	"errors"
	"path"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/internal/shell"
)

// wayOut says what the user can do if the file system refuses a change; "": not known.
func wayOut(c change.Change, err error, parent int, name string) string {
	switch {
	case errors.Is(err, unix.EROFS):
		return "its file system is read-only: remount it, or change what the system's image is made from"
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return "make room on its file system"
	case errors.Is(err, unix.EPERM):
		for _, at := range []string{name, ".", ".."} {
			var st unix.Statx_t
			if unix.Statx(parent, at, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &st) == nil && st.Attributes&unix.STATX_ATTR_IMMUTABLE != 0 {
				return "it is marked immutable: chattr -i " + shell.Quote(path.Join(path.Dir(c.Path), at))
			}
		}
	}
	return ""
}
