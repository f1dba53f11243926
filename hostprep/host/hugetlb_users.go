package host

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"vmhuge/internal/pages"
)

// HugetlbUser is a process that has huge pages mapped.
type HugetlbUser struct {
	PID   int
	Name  string // of its program, as the kernel keeps it: 15 bytes
	Bytes int64
}

// HugetlbUsers lists the processes that have huge pages mapped, those with most
// first. It reads /proc/PID/status, which takes no lock that a process can hold.
func (h Host) HugetlbUsers() ([]HugetlbUser, error) {
	entries, err := os.ReadDir(h.Root.Path("proc"))
	if err != nil {
		return nil, err
	}
	var users []HugetlbUser
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := h.Root.Read("proc", e.Name(), "status")
		if err != nil {
			continue // it has ended
		}
		if user := parseHugetlbUser(text); user.Bytes > 0 {
			user.PID = pid
			users = append(users, user)
		}
	}
	slices.SortStableFunc(users, func(a, b HugetlbUser) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return users, nil
}

// parseHugetlbUser reads two lines of /proc/PID/status:
//
//	Name:	qemu-system-x86
//	HugetlbPages:	 2097152 kB
func parseHugetlbUser(text string) (user HugetlbUser) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch value = strings.TrimSpace(value); name {
		case "Name":
			user.Name = value
		case "HugetlbPages":
			kib, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 52)
			if err == nil && kib > 0 {
				user.Bytes = kib * pages.KiB
			}
		}
	}
	return user
}

// HugetlbFile is a file on a hugetlbfs that holds pages, mapped or not.
type HugetlbFile struct {
	Path  string
	Bytes int64
}

// HugetlbFiles lists the files on a hugetlbfs that hold pages, down to the third
// folder, 1000 files at most. It stays on that mount: what a user has mounted below,
// as with FUSE, may never answer.
func (h Host) HugetlbFiles(m Mount) ([]HugetlbFile, error) {
	table, err := h.MountTable()
	if err != nil {
		return nil, err
	}
	const deepest, most = 3, 1000
	var files []HugetlbFile
	seen := 0
	var look func(dir string, depth int) error
	look = func(dir string, depth int) error {
		entries, err := os.ReadDir(h.Root.Path(dir))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for _, e := range entries {
			file := path.Join(dir, e.Name())
			if seen++; seen > most || slices.ContainsFunc(table, func(l MountLine) bool { return l.Point == file }) {
				continue
			}
			if e.IsDir() && depth < deepest {
				if err := look(file, depth+1); err != nil {
					return err
				}
			} else if st, err := h.Lstat(file); err == nil && st != nil && e.Type().IsRegular() && st.Blocks > 0 {
				files = append(files, HugetlbFile{file, st.Blocks * 512})
			}
		}
		return err
	}
	return files, look(m.Point, 0)
}
