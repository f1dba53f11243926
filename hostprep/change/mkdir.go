package change

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
)

// The two of folders, each the reverse of the other. From and To are mode and owner:
// 0755 0:0.
const (
	KindMkdir Kind = "mkdir"
	KindRmdir Kind = "rmdir"
)

var mkdir = kind{
	name:    KindMkdir,
	find:    findDir,
	line:    lineOfDir,
	reverse: func(c *Change) { c.Kind = KindRmdir },
	onDisk:  func(c Change) bool { return !host.Within(c.Path, "/dev") },
}

var rmdir = kind{
	name:    KindRmdir,
	find:    findDir,
	line:    lineOfDir,
	reverse: func(c *Change) { c.Kind = KindMkdir },
}

// Searchable are the bits that libvirt adds to the root of each hugetlbfs, so that the
// guests of all users reach their folders (qemuHugepageMakeBasedir).
const Searchable = 0o011

// findDir returns mode and owner of a folder. Where libvirt has only added the bits
// of Searchable to what the change has made, that is what it finds.
func findDir(c Change, _ host.Host, parent int, name string) (string, error) {
	st, err := statDir(parent, name)
	if st == nil {
		return "", err
	}
	without := *st
	for _, state := range []string{c.From, c.To} {
		if mode, _, _, err := ParseOwner(state); err == nil {
			without.Mode = st.Mode&^0o7777 | mode
			if st.Mode&0o7777 == mode|Searchable && host.OwnerText(&without) == state {
				return state, nil
			}
		}
	}
	return host.OwnerText(st), err
}

func lineOfDir(c Change) string {
	mode, owner, _ := strings.Cut(c.To, " ")
	switch {
	case c.To == "":
		return fmt.Sprintf("rmdir %s (was %s)", c.Path, c.From)
	case owner == "0:0":
		return fmt.Sprintf("mkdir -m %s %s", mode, c.Path)
	}
	return fmt.Sprintf("mkdir -m %s %s && chown %s %s", mode, c.Path, owner, c.Path)
}

// statDir looks at a folder; nil: nothing is there. What is there and no folder is
// an error.
func statDir(parent int, name string) (*unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !host.IsDir(&st) {
		err = unix.ENOTDIR
	}
	if err != nil {
		return nil, err
	}
	return &st, nil
}

// ParseOwner reads what host.OwnerText wrote, and ignores what follows it.
func ParseOwner(text string) (mode uint32, uid, gid int, err error) {
	if _, err := fmt.Sscanf(text, "%o %d:%d", &mode, &uid, &gid); err != nil {
		return 0, 0, 0, fmt.Errorf("%q is not a mode and owner", text)
	}
	return mode, uid, gid, nil
}
