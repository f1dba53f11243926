package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"vmhuge/hostprep/hosttest"
)

// tree is what a host has: by path kind, mode, owner and content.
type tree map[string]string

func treeOf(t *testing.T, root string) tree {
	t.Helper()
	files := tree{}
	hosttest.Must(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		var st syscall.Stat_t
		if err == nil {
			err = syscall.Lstat(path, &st)
		}
		if err != nil || path == root {
			return err
		}
		text := fmt.Sprintf("%o %d:%d ", st.Mode, st.Uid, st.Gid)
		switch d.Type() {
		case 0:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += string(content)
			if strings.HasPrefix(path, root+"/proc/") { // the kernel adds the line end that it is not given
				text = strings.TrimSuffix(text, "\n")
			}
		case os.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += target
		}
		below, err := filepath.Rel(root, path)
		if below != "run/vmhuge" { // the ledger's, which ends with the boot
			files[below] = text
		}
		return err
	}))
	return files
}

// text is the tree as one text.
func (files tree) text() string {
	var all strings.Builder
	for _, path := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&all, "%s %q\n", path, files[path])
	}
	return all.String()
}

// differences are the paths that two hosts do not have alike, with what they are. The text
// of a record is no difference: which changes it lists shows when they are undone.
func (files tree) differences(other tree) map[string][2]string {
	differ := map[string][2]string{}
	for _, paths := range []tree{files, other} {
		for path := range paths {
			a, b := files[path], other[path]
			if a != b && (a == "" || b == "" || !strings.HasPrefix(path, "var/lib/vmhuge/")) {
				differ[path] = [2]string{a[:min(len(a), 200)], b[:min(len(b), 200)]}
			}
		}
	}
	return differ
}

// restore makes a host what it was.
func (files tree) restore(t *testing.T, root string) {
	t.Helper()
	now := treeOf(t, root)
	for _, path := range slices.Backward(slices.Sorted(maps.Keys(now))) {
		if now[path] != files[path] && (files[path] == "" || !strings.HasPrefix(now[path], "4")) {
			hosttest.Must(t, os.Remove(filepath.Join(root, path)))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if now[path] == files[path] {
			continue
		}
		var mode uint32
		var uid, gid int
		_, err := fmt.Sscanf(files[path], "%o %d:%d ", &mode, &uid, &gid)
		hosttest.Must(t, err)
		_, content, _ := strings.Cut(files[path], " ")
		_, content, _ = strings.Cut(content, " ")
		file := filepath.Join(root, path)
		switch mode & syscall.S_IFMT {
		case syscall.S_IFDIR:
			if err := os.Mkdir(file, 0o700); !os.IsExist(err) {
				hosttest.Must(t, err)
			}
		case syscall.S_IFLNK:
			hosttest.Must(t, os.Symlink(content, file))
			continue
		default:
			hosttest.Must(t, os.WriteFile(file, []byte(content), 0o600))
		}
		hosttest.Must(t, os.Chown(file, uid, gid))
		hosttest.Must(t, syscall.Chmod(file, mode&0o7777))
	}
}
