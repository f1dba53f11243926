package hosttest

import "os"

// NewMount makes /dev/hugepages younger than libvirtd, which with NoBase has made no folder
// on it.
const NewMount = "-- modes --\ndev/hugepages/ 0755 0:0\n"

// NoBase takes away libvirt's folder on /dev/hugepages.
func NoBase(root string) error { return os.RemoveAll(root + "/dev/hugepages/libvirt") }

// Cgroup2 mounts the hierarchy of cgroup v2, beside a hugetlbfs.
const Cgroup2 = "-- proc/self/mountinfo --\n" + RootMounts +
	"44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n50 27 0:50 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"

// LimitFile is a limit in bytes of a cgroup, and how much is in use.
func LimitFile(dir, file, usage string, max, used string) string {
	return "-- sys/fs/cgroup/" + dir + "/hugetlb.2MB." + file + " --\n" + max + "\n-- sys/fs/cgroup/" + dir + "/hugetlb.2MB." + usage + " --\n" + used + "\n"
}
