package change

import (
	"path"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
	"vmhuge/internal/advice"
	"vmhuge/internal/shell"
)

// RootFolders returns the changes that make dir and the folders above it. A folder that
// other users than root may write to is refused: root runs, or obeys, what is in it.
func RootFolders(h host.Host, dir string) ([]Change, error) {
	var changes []Change
	if dir != "/" {
		above, err := RootFolders(h, path.Dir(dir))
		if err != nil {
			return nil, err
		}
		changes = above
	}
	st, err := h.Lstat(dir)
	switch {
	case err != nil:
		return nil, err
	case st == nil:
		return append(changes, Change{Kind: KindMkdir, Path: dir, To: "0755 0:0"}), nil
	case !host.IsDir(st):
		return nil, advice.New(dir, "it is not a folder", "move it away")
	case dir != "/" && ForeignHands(st.Mode, st.Uid):
		return nil, advice.New(dir, "it is "+host.OwnerText(st)+": users other than root could change what root runs", RootsAlone(dir, st))
	}
	return changes, nil
}

// ForeignHands says whether other users than root may write to a file or folder. A group
// that may is refused even if it is root's: it may have members, and where there is an access
// list the group's bits are its mask, the most that it gives to any user.
//
// Source: acl(5), CORRESPONDENCE BETWEEN ACL ENTRIES AND FILE PERMISSION BITS.
func ForeignHands(mode, uid uint32) bool { return uid != 0 || mode&0o022 != 0 }

// RootsAlone is what to do so that only root may write to a file or folder. Where root's own
// group may, an access list is the likely reason; chmod ends what that allows as well.
func RootsAlone(path string, st *unix.Stat_t) string {
	path = shell.Quote(path)
	do := "chown root:root " + path + " && chmod go-w " + path
	if st.Uid == 0 && st.Gid == 0 && st.Mode&0o022 == 0o020 {
		do += "; getfacl " + path + " shows an access list, which setfacl -b " + path + " removes"
	}
	return do
}
