package integration

import (
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/host"
)

// hostState is the part of the machine that a test must leave unchanged.
type hostState struct {
	Pools   pools
	Mounts  []string
	Files   map[string]string // path to mode, owner and content
	Domains []string
}

// watchedDirs are where vmhuge and libvirt write what outlives a guest. /etc has
// the domains, hooks, units and sysctls, /run/vmhuge the claims.
var watchedDirs = []string{"/etc", mount2M, mount1G, "/run/vmhuge/claims", stateDir}

// hostAsBefore fails the test if it leaves the host changed. Call it first: then
// it looks last, after every other cleanup.
func hostAsBefore(t *testing.T) {
	t.Helper()
	before := readHost(t)
	t.Cleanup(func() {
		// The last pages of a killed QEMU may come back a moment later.
		deadline := time.Now().Add(time.Minute)
		diff := cmp.Diff(before, readHost(t))
		for diff != "" && time.Now().Before(deadline) {
			time.Sleep(20 * time.Millisecond)
			diff = cmp.Diff(before, readHost(t))
		}
		if diff != "" {
			recorded, _ := os.ReadFile(filepath.Join(stateDir, "changes.json"))
			t.Errorf("the test left the host changed (-before +after):\n%s\non record: %s", diff, recorded)
			putBack(t, before.Pools)
		}
	})
}

// putBack sets the pools as they were, after a test that has failed: its pages would be lost to the
// machine, and its claims make the tests after it fail, too.
func putBack(t *testing.T, before pools) {
	t.Helper()
	if err := os.RemoveAll("/run/vmhuge"); err != nil {
		t.Error(err)
	}
	now := readTestPools(t)
	for kib, pool := range before {
		for node, n := range pool.Nodes {
			if was := n.Total - n.Surplus; now[kib].Nodes[node].Total-now[kib].Nodes[node].Surplus != was {
				if err := writePages(node, kib, was); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

func readHost(t *testing.T) hostState {
	t.Helper()
	return hostState{
		Pools:   readTestPools(t),
		Mounts:  readMounts(t),
		Files:   readFiles(t),
		Domains: domainNames(t),
	}
}

// readMounts returns mountinfo without the IDs, which a remount changes. Others may mount what
// is theirs meanwhile: what counts is hugetlbfs, and what covers a folder of vmhuge's or libvirt's.
func readMounts(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var mounts []string
	ours := append([]string{"/dev", "/run", "/var/lib"}, watchedDirs...)
	for line := range strings.Lines(string(data)) {
		point := strings.Fields(line)[4]
		if !strings.Contains(line, " - hugetlbfs ") && !slices.ContainsFunc(ours, func(dir string) bool { return host.Within(point, dir) || host.Within(dir, point) }) {
			continue
		}
		if host.Within(point, "/dev/shm") && point != "/dev/shm" { // where other tests mount theirs
			continue
		}
		mounts = append(mounts, strings.Join(strings.Fields(line)[3:], " "))
	}
	slices.Sort(mounts)
	return mounts
}

func readFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, dir := range watchedDirs {
		if _, err := os.Lstat(dir); err != nil {
			continue // its absence is state, too
		}
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && path != stateDir { // an empty one is as good as none
				files[path], err = describe(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// described are the files that have been read: there are thousands, and each test
// looks at them twice. A file whose inode has not changed since has the same content.
var described = map[string]description{}

type description struct {
	inode inode
	line  string
}

type inode struct {
	number  uint64
	changed syscall.Timespec
}

// describe puts into one line what must not change about a file.
func describe(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	owner := info.Sys().(*syscall.Stat_t)
	now := inode{owner.Ino, owner.Ctim}
	if known, ok := described[path]; ok && known.inode == now {
		return known.line, nil
	}
	line, err := read(path, info, owner)
	// What was changed just now may be changed again without a later time.
	if err == nil && time.Since(time.Unix(owner.Ctim.Unix())) > time.Second {
		described[path] = description{now, line}
	}
	return line, err
}

func read(path string, info fs.FileInfo, owner *syscall.Stat_t) (string, error) {
	line := fmt.Sprintf("%v %d:%d", info.Mode(), owner.Uid, owner.Gid)
	switch {
	case info.Mode().IsRegular():
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		sum := fnv.New64a()
		sum.Write(content)
		line += fmt.Sprintf(" %d bytes, hash %x", len(content), sum.Sum64())
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		line += " -> " + target
	}
	return line, nil
}

func domainNames(t *testing.T) []string {
	t.Helper()
	all, err := libvirtd.conn.ListAllDomains(0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range all {
		name, err := all[i].GetName()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
		_ = all[i].Free()
	}
	slices.Sort(names)
	return names
}
