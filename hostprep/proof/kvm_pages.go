package proof

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"vmhuge/hostprep/host"
)

// KVMPages is how many pages of each size KVM has mapped for a guest. KVM maps what the
// guest touches, with pages no larger than in the host's own page tables.
type KVMPages struct {
	Small int64 `json:"pages_4k"`
	Huge  int64 `json:"pages_2m"`
	Giant int64 `json:"pages_1g"`
}

// readKVM adds KVM's own counters for a guest that runs under it, which Linux
// has since 5.15. If they can't be read the proof says why, and is valid without them:
//
//	/sys/kernel/debug/kvm/4242-12/pages_2m
func readKVM(h host.Host, pid int, p *Proof) error {
	fd, err := kvmFD(h, pid)
	if fd == "" || err != nil {
		return err
	}
	dir := []string{"sys", "kernel", "debug", "kvm", strconv.Itoa(pid) + "-" + fd}
	var k KVMPages
	for name, n := range map[string]*int64{"pages_4k": &k.Small, "pages_2m": &k.Huge, "pages_1g": &k.Giant} {
		if *n, err = h.Root.ReadInt(append(dir, name)...); err != nil {
			break
		}
	}
	if err == nil {
		p.KVM = &k
		p.Evidence = append(p.Evidence, h.Root.Path(append(dir, "pages_*")...))
		return nil
	}
	p.KVMUnknown = err.Error()
	mounts, err := h.MountTable()
	if !slices.ContainsFunc(mounts, func(m host.MountLine) bool { return m.FsType == "debugfs" }) && err == nil {
		p.KVMUnknown = "no debugfs is mounted: mount -t debugfs debugfs /sys/kernel/debug"
	}
	return err
}

// kvmFD returns the file descriptor of a process that is its virtual machine;
// "": it has none.
func kvmFD(h host.Host, pid int) (string, error) {
	dir := h.Root.Path("proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && target == "anon_inode:kvm-vm" {
			return e.Name(), nil
		}
	}
	return "", nil
}
