package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// privateDirs are bind-mounted over the machine's directories of the same name.
// All start empty, but for what fillPrivateDirs puts there: the machine's own
// domains, networks and autostart links must not come to life a second time.
var privateDirs = []string{
	"/etc",
	"/var/cache/libvirt",
	"/var/lib/libvirt",
	"/var/log/libvirt",
}

// stateDir is the one of vmhuge, which makes it and removes it.
const stateDir = "/var/lib/vmhuge"

const (
	mount2M = "/dev/hugepages"
	mount1G = "/dev/hugepages1G"
)

// filesystems are mounted afresh. An empty /run hides the sockets of the
// machine's libvirtd, of systemd and of D-Bus: no test can restart a service of
// the machine, and no guest is registered with its machined.
var filesystems = []struct{ kind, target, options string }{
	{"proc", "/proc", ""},
	{"tmpfs", "/run", "mode=0755"},
	{"tmpfs", "/dev", "mode=0755"},
	{"tmpfs", "/dev/shm", "mode=1777"},
	{"devpts", "/dev/pts", "newinstance,gid=5,mode=620,ptmxmode=666"},
	{"hugetlbfs", mount2M, "pagesize=2M,mode=0755"},
	{"hugetlbfs", mount1G, "pagesize=1G,mode=0755"},
}

// devices are all that the private /dev has. It lacks kvm: all guests are TCG's,
// and with a /dev/kvm that only root may open (no udev, as in containers) libvirt
// would ask QEMU for its abilities anew at every step: it probes as root, sees
// KVM, finds that QEMU's user cannot use it, and starts over.
var devices = []struct {
	path         string
	major, minor uint32
}{
	{"/dev/null", 1, 3},
	{"/dev/zero", 1, 5},
	{"/dev/full", 1, 7},
	{"/dev/random", 1, 8},
	{"/dev/urandom", 1, 9},
	{"/dev/tty", 5, 0},
	{"/dev/ptmx", 5, 2}, // not a link to pts/ptmx, from which libvirt 7.0 can't make a guest's /dev
}

// bootDir is where the tests find the guest's kernel: below /var/lib/libvirt,
// which QEMU's user can read wherever the temporary directory is.
const bootDir = "/var/lib/libvirt/boot"

// fillPrivateDirs makes the private directories below dir.
func fillPrivateDirs(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil { // QEMU is another user
		return err
	}
	in := func(path string) string { return filepath.Join(dir, path) }
	for _, path := range privateDirs {
		if err := os.MkdirAll(in(path), 0o755); err != nil {
			return err
		}
	}
	// vmhuge writes units, sysctls and drop-ins, so all of /etc is a copy.
	if err := copyTree("/etc", in("/etc")); err != nil {
		return err
	}
	if err := os.RemoveAll(in("/etc/libvirt")); err != nil {
		return err
	}
	// libvirt would make these itself, but only when it needs them.
	for _, path := range []string{"/etc/libvirt/hooks", "/etc/libvirt/qemu"} {
		if err := os.MkdirAll(in(path), 0o755); err != nil {
			return err
		}
	}
	// Security modules are the lab's subject; here they would only get in the way.
	// sudo leaves a limit of 0 for core files, which libvirt 11 can't always raise.
	if err := os.WriteFile(in("/etc/libvirt/qemu.conf"), []byte("security_driver = \"none\"\nmax_core = 0\n"), 0o600); err != nil {
		return err
	}
	// What libvirt found out about QEMU takes seconds to find out again.
	if err := copyTree("/var/cache/libvirt", in("/var/cache/libvirt")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return buildGuest(in(bootDir))
}

// buildGuest gets the kernel and the initramfs, kept in the user's cache.
func buildGuest(dir string) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	cache = filepath.Join(cache, "vmhuge", "guest")
	if out, err := exec.Command("../examples/guest", cache).CombinedOutput(); err != nil {
		return fmt.Errorf("building the guest: %w\n%s", err, out)
	}
	return copyTree(cache, dir)
}

// copyTree copies what is in from into to, with owners and modes.
func copyTree(from, to string) error {
	if _, err := os.Stat(from); err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
		return fmt.Errorf("copying %s: %w\n%s", from, err, out)
	}
	return nil
}

// mountPrivate lays the private directories and file systems over the machine's.
// The mount namespace ends with its last process, and takes the mounts along.
func mountPrivate(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	// The machine's hugetlbfs mounts would be found and used by libvirtd.
	mounts, err := mountPoints("hugetlbfs")
	if err != nil {
		return err
	}
	for _, path := range slices.Backward(mounts) {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("hiding %s: %w", path, err)
		}
	}
	if err := hideReadOnlyCgroups(); err != nil {
		return err
	}
	if err := layOverStateDir(filepath.Join(dir, "over"+stateDir)); err != nil {
		return err
	}
	for _, path := range privateDirs {
		if err := unix.Mount(filepath.Join(dir, path), path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("laying a private directory over %s: %w", path, err)
		}
	}
	for _, f := range filesystems {
		if f.target == mount1G && !has1G() {
			continue
		}
		if err := os.MkdirAll(f.target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(f.kind, f.target, f.kind, 0, f.options); err != nil {
			return fmt.Errorf("mounting %s (%s) on %s: %w", f.kind, f.options, f.target, err)
		}
	}
	for _, d := range devices {
		err := errors.Join(
			unix.Mknod(d.path, unix.S_IFCHR, int(unix.Mkdev(d.major, d.minor))),
			os.Chmod(d.path, 0o666)) // the umask took some of it
		if err != nil {
			return fmt.Errorf("making %s: %w", d.path, err)
		}
	}
	return nil
}

// layOverStateDir lays a layer over the folder above vmhuge's: what the tests write
// there is in a tmpfs, and what the machine has in vmhuge's own they don't see. The
// folder itself can't be a mount point. A vmhuge on the machine may remove it, and
// the kernel then unmounts what others have mounted there.
func layOverStateDir(dir string) error {
	above, upper, work := filepath.Dir(stateDir), filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	err := errors.Join(os.MkdirAll(dir, 0o755), unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"),
		os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755))
	if err == nil {
		err = unix.Mount("overlay", above, "overlay", 0, "lowerdir="+above+",upperdir="+upper+",workdir="+work)
	}
	if err != nil {
		return fmt.Errorf("laying an overlay over %s: %w", above, err)
	}
	return os.RemoveAll(stateDir)
}

// hideReadOnlyCgroups takes away what a container may only look at: libvirt does
// without cgroups, but not with ones in which it cannot make its own.
func hideReadOnlyCgroups() error {
	v1, err := mountPoints("cgroup")
	if err != nil {
		return err
	}
	v2, err := mountPoints("cgroup2")
	if err != nil {
		return err
	}
	for _, path := range append(v1, v2...) {
		var fs unix.Statfs_t
		if err := unix.Statfs(path, &fs); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if fs.Flags&unix.ST_RDONLY != 0 {
			return unix.Unmount("/sys/fs/cgroup", unix.MNT_DETACH)
		}
	}
	return nil
}

// mountPoints returns where file systems of a kind are mounted, in order.
//
//	63 24 0:43 / /dev/hugepages rw,relatime shared:21 - hugetlbfs hugetlbfs rw,pagesize=2M
func mountPoints(kind string) ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var paths []string
	for line := range strings.Lines(string(data)) {
		mount, fsType, ok := strings.Cut(line, " - ")
		if ok && strings.HasPrefix(fsType, kind+" ") {
			paths = append(paths, strings.Fields(mount)[4])
		}
	}
	return paths, nil
}

// makeMountPoints makes the directories that the machine lacks and returns them.
func makeMountPoints() (made []string, err error) {
	for _, path := range privateDirs {
		switch err := os.Mkdir(path, 0o755); {
		case err == nil:
			made = append(made, path)
		case !errors.Is(err, fs.ErrExist):
			return made, err
		}
	}
	return made, nil
}

func removeDirs(paths []string) (err error) {
	for _, path := range paths {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// guestPrefix begins the name of every guest of the tests.
const guestPrefix = "vmhuge-test-"

// removeCgroups removes what libvirt leaves of the tests in the cgroup
// hierarchies, which have no private copy: the guests' cgroups, if QEMU and
// libvirtd were killed, and the partition of all guests, if it is new and empty.
func removeCgroups(newPartitions func(string) bool) {
	for _, partition := range cgroupPartitions() {
		guests, _ := filepath.Glob(partition + "/qemu-*-" + guestPrefix + "*")
		for _, guest := range guests {
			threads, _ := filepath.Glob(guest + "/*") // emulator, vcpu0…, and files, which rmdir leaves alone
			for _, dir := range append(threads, guest) {
				_ = unix.Rmdir(dir)
			}
		}
		if newPartitions(partition) {
			_ = unix.Rmdir(partition) // stays if another libvirtd has put a guest there
		}
	}
}

// cgroupPartitions returns /machine in each hierarchy, of cgroup v2 and v1.
func cgroupPartitions() []string {
	v2, _ := filepath.Glob("/sys/fs/cgroup/machine")
	v1, _ := filepath.Glob("/sys/fs/cgroup/*/machine")
	return append(v2, v1...)
}
