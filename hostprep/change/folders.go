package change

import (
	"path"

	"vmhuge/hostprep/host"
	"vmhuge/internal/advice"
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
	case dir != "/" && ForeignHands(st.Mode, st.Uid, st.Gid):
		return nil, advice.New(dir, "it is "+host.OwnerText(st)+": other users than root could change what root runs",
			"chown root:root "+dir+" && chmod go-w "+dir)
	}
	return changes, nil
}

// ForeignHands says whether other users than root may write to a file or folder.
func ForeignHands(mode, uid, gid uint32) bool {
	return uid != 0 || mode&0o002 != 0 || mode&0o020 != 0 && gid != 0
}
