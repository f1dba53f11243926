package host

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

func TestMounts(t *testing.T) {
	for _, test := range []struct {
		name, lines string
		want        []Mount
	}{
		{"all options", `44 24 0:41 / /dev/huge\040pages rw shared:9 - hugetlbfs hugetlbfs rw,uid=64055,gid=107,mode=1770,nr_inodes=5,pagesize=1024M,size=4294967296,min_size=1073741824`,
			[]Mount{{Point: "/dev/huge pages", Size: pages.Size1GiB, Mode: 0o1770, UID: 64055, GID: 107, NrInodes: 5, SizeLimit: 4 << 30, MinSize: 1 << 30}}},
		{"kernel before pagesize was shown", `44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw`,
			[]Mount{{Point: "/dev/hugepages", Size: pages.Size2MiB, Mode: 0o755}}},
		{"no source", `44 24 0:41 / /dev/hugepages rw - hugetlbfs  rw,pagesize=2048K`,
			[]Mount{{Point: "/dev/hugepages", Size: pages.Size2MiB, Mode: 0o755}}},
		{"read-only by the mount", `44 24 0:41 / /dev/hugepages ro - hugetlbfs none rw,pagesize=2M`,
			[]Mount{{Point: "/dev/hugepages", Size: pages.Size2MiB, Mode: 0o755, ReadOnly: true}}},
		{"read-only by the file system", `44 24 0:41 / /dev/hugepages rw - hugetlbfs none ro,pagesize=2M`,
			[]Mount{{Point: "/dev/hugepages", Size: pages.Size2MiB, Mode: 0o755, ReadOnly: true}}},
		{"another on top", "44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n45 44 0:42 / /dev/hugepages rw - hugetlbfs none rw,pagesize=1024M", []Mount{
			{Point: "/dev/hugepages", Size: pages.Size2MiB, Mode: 0o755, Hidden: "hugetlbfs"},
			{Point: "/dev/hugepages", Size: pages.Size1GiB, Mode: 0o755}}},
		{"tmpfs on top", "44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n45 44 0:42 / /dev/hugepages rw - tmpfs none rw",
			[]Mount{{Point: "/dev/hugepages", Size: pages.Size2MiB, Mode: 0o755, Hidden: "tmpfs"}}},
		{"another /dev on top", "44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n45 24 0:42 / /dev rw - tmpfs none rw",
			[]Mount{{Point: "/dev/hugepages", Size: pages.Size2MiB, Mode: 0o755, Hidden: "tmpfs"}}},
		{"mounted below a folder that was mounted over", "44 27 0:41 / /mnt/a/b rw - hugetlbfs none rw,pagesize=2M\n45 27 0:42 / /mnt/a rw - tmpfs none rw",
			[]Mount{{Point: "/mnt/a/b", Size: pages.Size2MiB, Mode: 0o755, Hidden: "tmpfs"}}},
		{"a neighbour with a longer name", "44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n45 24 0:42 / /dev/hugepages1G rw - hugetlbfs none rw,pagesize=1024M", []Mount{
			{Point: "/dev/hugepages", Size: pages.Size2MiB, Mode: 0o755},
			{Point: "/dev/hugepages1G", Size: pages.Size1GiB, Mode: 0o755}}},
	} {
		h := Host{Root: hostfs.Root(t.TempDir())}
		hosttest.WriteFile(t, h.Root.Path("proc/self/mountinfo"), hosttest.RootMounts+test.lines+"\n")
		hosttest.WriteFile(t, h.Root.Path("proc/meminfo"), "MemTotal: 1 kB\nHugepagesize: 2048 kB\n")
		got, err := h.Mounts()
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: -want +got:\n%s%v", test.name, diff, err)
		}
	}
	for _, bad := range []string{"44 24 0:41 / /dev rw hugetlbfs none rw\n", "a 24 0:41 / /dev rw - hugetlbfs none rw\n", "\n"} {
		if got, err := parseMountinfo(bad); err == nil {
			t.Errorf("%q became %v", bad, got)
		}
	}
}
