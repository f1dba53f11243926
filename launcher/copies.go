package launcher

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"vmhuge/internal/hostfs"
)

// copies keeps the former XML of every domain that enable changed, under the
// domain's UUID: a name may hold anything, a UUID is a file name.
// They hold the passwords of VNC and SPICE, so nobody else may read them.
type copies struct{ root hostfs.Root }

// newCopies is /var/lib/vmhuge/domains for root, and the user's own state
// folder for everybody else.
func newCopies(root hostfs.Root) (copies, error) {
	if os.Geteuid() == 0 {
		return copies{hostfs.Root(root.Path("var", "lib", "vmhuge", "domains"))}, nil
	}
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return copies{}, err
		}
		state = filepath.Join(home, ".local", "state")
	}
	return copies{hostfs.Root(filepath.Join(state, "vmhuge", "domains"))}, nil
}

func (c copies) path(uuid string) string { return c.root.Path(uuid + ".xml") }

// keep writes a copy, over an earlier one only if told so, and returns its path.
func (c copies) keep(uuid string, doc []byte, overwrite bool) (string, error) {
	unlock, err := c.root.LockFolder()
	if err != nil {
		_ = c.dropFolders()
		return "", err
	}
	defer unlock()
	if !c.has(uuid) || overwrite {
		err = c.root.Replace(doc, 0o600, uuid+".xml")
	}
	if err != nil {
		_ = c.dropFolders()
	}
	return c.path(uuid), err
}

func (c copies) has(uuid string) bool {
	_, err := os.Lstat(c.path(uuid))
	return err == nil
}

// drop removes a copy, and with the last one the folders.
func (c copies) drop(uuid string) error {
	if _, err := os.Lstat(c.root.Path()); errors.Is(err, fs.ErrNotExist) {
		return c.dropFolders() // a kill may have left the one above
	}
	unlock, err := c.root.LockFolder()
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Remove(c.path(uuid)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.dropFolders()
}

// dropFolders removes the folders that nothing is left in.
func (c copies) dropFolders() error {
	return errors.Join(c.root.RemoveFolder(), c.root.RemoveFolder(".."))
}
