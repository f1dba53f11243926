package integration

import (
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/internal/versions"
)

const (
	noMount = "hugetlbfs filesystem is not mounted or disabled by administrator config"
	noSize  = "Unable to find any usable hugetlbfs mount for"
	// What QEMU says instead of either, started by a libvirt that leaves its memory out.
	noBackend = "Memory backend 'pc.ram' not found"
	noSpace   = "No space left on device"
	tooSmall  = "must be equal to or larger than page size"
	qemuConf  = "/etc/libvirt/qemu.conf"
	anySize   = "<hugepages/>"
)

// again mounts the hugetlbfs of 2 MiB anew with an option, which libvirtd does
// not notice.
func again(option string) func(t *testing.T) { return mountAgain(mount2M, "pagesize=2M,"+option) }

// conf adds a line to qemu.conf.
func conf(line string) func(t *testing.T) { return file(qemuConf, line+"\n", 0o600) }

// behindTwoDevs mounts what libvirt takes for the first mount below /dev. It does not look
// for mounts below the first one where /dev is mounted twice, as in these tests.
var behindTwoDevs = over("/dev/a")

// mountFaults are of the mounts, and of what libvirtd knows of them.
var mountFaults = []fault{
	{name: "mount-late", setup: mountLate, verdict: hostprep.NoMount, says: noMount, cause: "mount-late"},
	{name: "mount-late-of-this-size", of1G: true, setup: all(mountLateOf1G, free1G(1)), guest: gibs(1), verdict: hostprep.NoMount, says: noSize, cause: "mount-late"},
	{name: "mount-missing", setup: restarted(mountAgain(mount1G, ""), mountAgain(mount2M, "")), verdict: hostprep.NoMount, says: noMount, cause: "mount-missing"},
	{name: "mount-missing-of-this-size", of1G: true, setup: restarted(mountAgain(mount1G, "")), guest: gibs(1), verdict: hostprep.NoMount, says: noSize, cause: "mount-missing"},
	{name: "memfd-without-its-mount", of1G: true, setup: restarted(mountAgain(mount2M, "")), guest: memfd(""), verdict: hostprep.Ready},

	// Mounts that are not what they were when libvirtd looked.
	{name: "mount-vanished", of1G: true, setup: mountAgain(mount2M, ""), verdict: hostprep.NoMount, says: "No such file or directory", cause: "mount-vanished", mends: true},
	{name: "mount-vanished-without-namespaces", with: versions.MakesFolders, setup: all(restarted(conf("namespaces = []")), mountAgain(mount2M, "")), verdict: hostprep.NoMount, small: true, mends: true},
	{name: "mount-covered", with: versions.MakesFolders, setup: over(mount2M), verdict: hostprep.NoMount, small: true},
	{name: "mount-covered-memfd", setup: over(mount2M), guest: memfd(""), verdict: hostprep.Ready},
	{name: "folder-covered", with: versions.MakesFolders, setup: all(behindTwoDevs, over(libvirtDir)), verdict: hostprep.NoMount, small: true},
	{name: "folder-covered-of-the-driver", setup: all(behindTwoDevs, over(libvirtDir+"/qemu")), verdict: hostprep.NoMount, small: true},
	{name: "folder-covered-memfd", setup: all(behindTwoDevs, over(libvirtDir)), guest: memfd(""), verdict: hostprep.Ready},
	{name: "folder-covered-and-dev-mounted-twice", with: versions.DevTwice, setup: over(libvirtDir), verdict: hostprep.BadHost, says: "Device or resource busy", cause: "dev-mounted-twice"},
	{name: "folder-covered-memfd-and-dev-mounted-twice", with: versions.DevTwice, setup: over(libvirtDir), guest: memfd(""), verdict: hostprep.BadHost, says: "Device or resource busy", cause: "dev-mounted-twice"},
	{name: "mount-read-only", setup: remount(mount2M, unix.MS_RDONLY), verdict: hostprep.NoMount, says: "Read-only file system", cause: "mount-read-only"},
	{name: "mount-of-others-read-only", of1G: true, setup: remount(mount1G, unix.MS_RDONLY), verdict: hostprep.NoMount, says: "Read-only file system", cause: "mount-read-only"},
	{name: "mount-read-only-memfd-older", without: versions.MemfdAlone, setup: remount(mount2M, unix.MS_RDONLY), guest: memfd(""), verdict: hostprep.NoMount, says: "Read-only file system", cause: "mount-read-only"},
	{name: "mount-read-only-memfd", with: versions.MemfdAlone, setup: remount(mount2M, unix.MS_RDONLY), guest: memfd(""), verdict: hostprep.Ready},
	{name: "mount-nosuid-nodev-noexec", setup: remount(mount2M, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC), verdict: hostprep.Ready},

	// Limits of a mount, by a page or a file.
	{name: "mount-size-enough", setup: again("size=64M"), verdict: hostprep.Ready},
	{name: "mount-size-one-short", setup: again("size=62M"), verdict: hostprep.NoMount, says: unmapped, cause: "mount-full"},
	{name: "mount-size-memfd", setup: again("size=62M"), guest: memfd(""), verdict: hostprep.Ready},
	{name: "mount-size-beside-a-guest", setup: all(again("size=128M"), neighbour(32)), verdict: hostprep.Ready},
	{name: "mount-size-beside-a-guest-one-short", setup: all(again("size=126M"), neighbour(32)), verdict: hostprep.NoMount, says: unmapped, cause: "mount-full"},
	{name: "inodes-enough", setup: again("nr_inodes=5"), verdict: hostprep.Ready},
	{name: "inodes-none-for-the-file", setup: again("nr_inodes=4"), verdict: hostprep.NoMount, says: noSpace, cause: "mount-inodes"},
	{name: "inodes-none-for-the-folder", setup: again("nr_inodes=3"), verdict: hostprep.NoMount, says: noSpace, cause: "mount-inodes"},
	{name: "inodes-none-for-libvirt", setup: again("nr_inodes=2"), verdict: hostprep.NoMount, says: noSpace, cause: "mount-inodes"},
	{name: "inodes-enough-for-cells", setup: again("nr_inodes=6"), guest: more(cells32x2), verdict: hostprep.Ready},
	{name: "inodes-one-short-for-cells", setup: again("nr_inodes=5"), guest: more(cells32x2), verdict: hostprep.NoMount, says: noSpace, cause: "mount-inodes"},
	{name: "inodes-enough-beside-a-guest", setup: all(again("nr_inodes=7"), neighbour(4)), verdict: hostprep.Ready},
	{name: "inodes-one-short-beside-a-guest", setup: all(again("nr_inodes=6"), neighbour(4)), verdict: hostprep.NoMount, says: noSpace, cause: "mount-inodes"},
	{name: "inodes-of-another-mount", of1G: true, setup: restarted(mountAgain(mount1G, "pagesize=1G,nr_inodes=3")), verdict: hostprep.NoMount, says: noSpace, cause: "mount-inodes"},

	// qemu.conf, and the size that it makes the default.
	{name: "conf-no-mounts", setup: restarted(conf("hugetlbfs_mount = []")), verdict: hostprep.NoMount, says: noMount, cause: "mount-missing"},
	{name: "conf-other-mount", of1G: true, setup: restarted(conf("hugetlbfs_mount = '" + mount1G + "'")), verdict: hostprep.NoMount, says: noSize, cause: "mount-missing"},
	{name: "conf-second-mount-is-default", of1G: true, setup: restarted(conf(`hugetlbfs_mount = ["` + mount2M + `", "` + mount1G + `"]`)), guest: backing(anySize), verdict: hostprep.BadDomain, says: tooSmall, cause: "smaller-than-page"},
	{name: "conf-second-mount-and-a-size", of1G: true, setup: restarted(conf(`hugetlbfs_mount = ["` + mount2M + `", "` + mount1G + `"]`)), verdict: hostprep.Ready},
	{name: "conf-second-mount-of-the-kernels-size", of1G: true, setup: restarted(conf(`hugetlbfs_mount = ["` + mount1G + `", "` + mount2M + `"]`)), guest: backing(anySize), verdict: hostprep.Ready},
	{name: "default-size", guest: backing(anySize), verdict: hostprep.Ready},
	{name: "default-size-one-short", guest: backing(anySize), pages: 31, verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "default-size-of-the-only-mount", of1G: true, setup: restarted(mountAgain(mount2M, "")), guest: backing(anySize), verdict: hostprep.BadDomain, says: tooSmall, cause: "smaller-than-page"},
}
