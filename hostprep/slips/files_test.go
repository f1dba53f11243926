package slips

import (
	"os"
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// Lines that do nothing are found with file, line and the right spelling; lines that
// work are not.
func TestFileSlips(t *testing.T) {
	for name, test := range map[string]struct{ files, want string }{
		"fstab that works": {"-- etc/fstab --\n# hugetlbfs /x hugetlbfs pageSize=1G 0 0\nhugetlbfs /dev/big hugetlbfs rw,nosuid,pagesize=1G,mode=1770,gid=kvm,nofail 0 0\n", ""},
		"fstab": {"-- etc/fstab --\nUUID=1 / ext4 defaults 0 1\nhugetlbfs /a hugetlbfs mode=1770,pageSize=1Gi 0 0\nnone /b hugepages pagesize=2M 0 0\nnone /c hugetlbfs hugepagesz=2M 0 0\nnone /d hugetlbfs pagesize=1024 0 0\nnone /e hugetlbfs mode=rwx 0 0\n", `
/etc/fstab:2: pageSize=1Gi is not an option of hugetlbfs, so that the mount fails → pagesize=1G
/etc/fstab:3: hugepages is not a file system, so that the mount fails → hugetlbfs
/etc/fstab:4: hugepagesz=2M is not an option of hugetlbfs, so that the mount fails → pagesize=2M
/etc/fstab:5: pagesize=1024 names a size that no kernel has, so that the mount fails: a number without K, M or G counts bytes → pagesize=1G
/etc/fstab:6: mode=rwx is not an octal mode, so that the mount fails → mode=1770`},
		"fstab with its fields in another order, and another file system there": {"-- etc/fstab --\n/mnt/huge hugetlbfs hugetlbfs pagesize=2M 0 0\ntmpfs /dev/hugepages tmpfs size=1G 0 0\ntmpfs /tmp tmpfs size=1G 0 0\nhugetlbfs /dev/hugepages hugetlbfs defaults 0 0\n", `
/etc/fstab:1: hugetlbfs is not a path, so that nothing is mounted → the folder, such as /dev/hugepages, as the second field
/etc/fstab:2: tmpfs on /dev/hugepages covers the hugetlbfs that is mounted there → another folder for one of the two`},
		"drop-ins": {"-- usr/lib/systemd/system/dev-hugepages.mount --\n[Mount]\nWhat=hugetlbfs\nWhere=/dev/hugepages\nType=hugetlbfs\n-- etc/systemd/system/dev-hugepages.mount.d/mode.conf --\n[Mount]\nOptions=pageSize=1G,mode=177x\n" +
			"-- etc/systemd/system/dev-hugepages.mount.d/old.conf.bak --\nOptions=mode=rwx\n-- etc/systemd/system/srv.mount.d/mode.conf --\n[Mount]\nOptions=mode=rwx\n-- etc/systemd/system/dev-hugepages.mount.d/vmhuge.conf --\n[Mount]\nOptions=nosuid,mode=01770,gid=kvm\n", `
/etc/systemd/system/dev-hugepages.mount.d/mode.conf:2: pageSize=1G is not an option of hugetlbfs, so that the mount fails → pagesize=1G
/etc/systemd/system/dev-hugepages.mount.d/mode.conf:2: mode=177x is not an octal mode, so that the mount fails → mode=1770`},
		"units": {"-- etc/systemd/system/dev-big.mount --\n[Mount]\nWhere=/dev/big\nType=hugetlbfs\nOptions=pagesize=1G\n" +
			"-- etc/systemd/system/big.mount --\n[Mount]\nWhat=hugetlbfs\nWhere=/dev/huge1G\nType=hugetlbfs\nOptions=PageSize=1G,minsize=2G\n" +
			"-- etc/systemd/system/srv.mount --\n[Mount]\nWhere=/data\nOptions=pageSize=1\n", `
/etc/systemd/system/big.mount:3: Where=/dev/huge1G does not fit the unit's name, so that systemd refuses the unit → the name dev-huge1G.mount
/etc/systemd/system/big.mount:5: PageSize=1G is not an option of hugetlbfs, so that the mount fails → pagesize=1G
/etc/systemd/system/big.mount:5: minsize=2G is not an option of hugetlbfs, so that the mount fails → min_size=2G`},
		"units of a type that there is not": {"-- etc/systemd/system/a.mount --\n[Mount]\nWhat=hugetlbfs\nWhere=/a\nType=hugetlb\n-- etc/systemd/system/b.mount --\n[Mount]\nWhat=hugetlbfs\nWhere=/b\nType=HugeTLBFS\n", `
/etc/systemd/system/a.mount:4: Type=hugetlb is not a file system, so that the mount fails → Type=hugetlbfs
/etc/systemd/system/b.mount:4: Type=HugeTLBFS is not a file system, so that the mount fails → Type=hugetlbfs`},
		"sysctl that works":               {"-- etc/sysctl.conf --\n#vm.nr_hugepage=1\nvm.swappiness=10\n-- etc/sysctl.d/50-hp.conf --\n-vm/nr_hugepages = 64\nvm.nr_overcommit_hugepages=8\n-- usr/lib/sysctl.d/60-hp.conf --\nvm.nr_hugepages=64\n", ""},
		"sysctl in hexadecimal and octal": {"-- etc/sysctl.conf --\nvm.nr_hugepages = 0x400\nvm.nr_overcommit_hugepages = 0100\n", ""},
		"sysctl of two numbers": {"-- etc/sysctl.conf --\nvm.nr_hugepages = 1024 512\n", `
/etc/sysctl.conf:1: vm.nr_hugepages = 1024 512 is more than one number, of which the kernel takes the first → vm.nr_hugepages = 1024`},
		"sysctl without =": {"-- etc/sysctl.conf --\nvm.nr_hugepages 512\nvm/nr_overcommit_hugepages: 8\nvm.nr_hugepages\n# vm.nr_hugepages 1\n-vm.nr_hugepages\nvm.swappiness 1\n", `
/etc/sysctl.conf:1: vm.nr_hugepages 512 has no =, so that sysctl ignores the line → vm.nr_hugepages = 512
/etc/sysctl.conf:2: vm/nr_overcommit_hugepages: 8 has no =, so that sysctl ignores the line → vm.nr_overcommit_hugepages = 8
/etc/sysctl.conf:3: vm.nr_hugepages has no =, so that sysctl ignores the line → vm.nr_hugepages = N`},
		"sysctl in files that are not read": {"-- etc/sysctl.d/10-h --\n# pages\nvm.nr_hugepages = 512\nvm.swappiness=1\n-- usr/lib/sysctl.d/hp.cnf --\nvm.nr_overcommit_hugepages=8\n" +
			"-- etc/sysctl.d/20-h.conf.bak --\nvm.nr_hugepages = 1\n-- etc/sysctl.d/30-h~ --\nvm.nr_hugepages = 1\n-- etc/sysctl.d/README --\nset vm.nr_hugepages = 1 for pages\n-- etc/sysctl.d/40-h.conf.dpkg-old --\nvm.nr_hugepages = 1\n", `
/etc/sysctl.d/10-h:2: vm.nr_hugepages = 512 is in a file whose name does not end in .conf, so that sysctl does not read it → the name 10-h.conf
/usr/lib/sysctl.d/hp.cnf:1: vm.nr_overcommit_hugepages=8 is in a file whose name does not end in .conf, so that sysctl does not read it → the name hp.conf`},
		"sysctl of one pool by two names": {"-- etc/sysctl.conf --\nvm.nr_hugepages = 64\nvm.nr_hugepages_mempolicy = 100\n", `
/etc/sysctl.conf:1: vm.nr_hugepages = 64 is overridden by /etc/sysctl.conf:2, which is read later and says 100 → one of the two lines`},
		"sysctl of a default size of 1 GiB": {"-- proc/meminfo --\nMemTotal: 16384000 kB\nMemFree: 9000000 kB\nMemAvailable: 9900000 kB\nHugepagesize: 1048576 kB\n" +
			"-- etc/sysctl.conf --\nvm.nr_hugepages = 8G\nvm.nr_overcommit_hugepages = 512M\nvm.nr_hugepage = 2G\n", `
/etc/sysctl.conf:1: vm.nr_hugepages = 8G is not a number, so that the kernel refuses it → vm.nr_hugepages = 8 for 8 GiB in pages of 1 GiB
/etc/sysctl.conf:2: vm.nr_overcommit_hugepages = 512M is not a number, so that the kernel refuses it → vm.nr_overcommit_hugepages = N
/etc/sysctl.conf:3: vm.nr_hugepage = 2G is not a setting of the kernel, so that nothing happens → vm.nr_hugepages = 2 for 2 GiB in pages of 1 GiB`},
		"sysctl of a default size of 512 MiB": {"-- proc/meminfo --\nMemTotal: 16384000 kB\nMemFree: 9000000 kB\nMemAvailable: 9900000 kB\nHugepagesize: 524288 kB\n-- etc/sysctl.conf --\nvm.nr_hugepages = 8G\n", `
/etc/sysctl.conf:1: vm.nr_hugepages = 8G is not a number, so that the kernel refuses it → vm.nr_hugepages = 16 for 8 GiB in pages of 512 MiB`},
		"sysctl with separators, and of what is no page": {"-- etc/sysctl.conf --\nvm.nr_hugepages=1,000\nvm.hugetlb_shm_group = 2G\n", `
/etc/sysctl.conf:1: vm.nr_hugepages = 1,000 is not a number, so that the kernel refuses it → vm.nr_hugepages = 1000
/etc/sysctl.conf:2: vm.hugetlb_shm_group = 2G is not a number, so that the kernel refuses it → vm.hugetlb_shm_group = N`},
		"sysctl of more than the host has room for": {"-- etc/sysctl.conf --\nvm.nr_hugepages = 16G\nvm.nr_overcommit_hugepages = 16G\n-- etc/sysctl.d/hp --\nvm.nr_hugepages = 9000\n-- proc/cmdline --\nhugepagesz=1G hugepages=4\n", `
/etc/sysctl.conf:1: vm.nr_hugepages = 16G is not a number, so that the kernel refuses it → vm.nr_hugepages = 4928, as 8192 pages of 2 MiB do not fit: the host has 15.6 GiB and keeps 2 GiB of it, and 4 GiB is reserved besides
/etc/sysctl.conf:2: vm.nr_overcommit_hugepages = 16G is not a number, so that the kernel refuses it → vm.nr_overcommit_hugepages = 8192 for 16 GiB in pages of 2 MiB
/etc/sysctl.d/hp:1: vm.nr_hugepages = 9000 is in a file whose name does not end in .conf, so that sysctl does not read it → the name hp.conf, with vm.nr_hugepages = 4928, as 9000 pages of 2 MiB do not fit: the host has 15.6 GiB and keeps 2 GiB of it, and 4 GiB is reserved besides`},
		"sysctl.conf, which systemd does not read": {"-- etc/sysctl.conf --\nvm.nr_hugepages = 64\nvm.swappiness=1\nvm.nr_hugepages=9000\n-- modes --\nrun/systemd/system/ 0755 0:0\n", `
/etc/sysctl.conf:1: vm.nr_hugepages = 64 is in a file that systemd does not read at boot; sysctl --system does → the same line in /etc/sysctl.d/90-hugepages.conf
/etc/sysctl.conf:3: vm.nr_hugepages=9000 is in a file that systemd does not read at boot; sysctl --system does → the same line in /etc/sysctl.d/90-hugepages.conf, with vm.nr_hugepages = 6976, as 9000 pages of 2 MiB do not fit: the host has 15.6 GiB and keeps 2 GiB of it`},
		"sysctl with a comment behind the number": {"-- etc/sysctl.conf --\nvm.nr_hugepages = 1024 # for web1\n", `
/etc/sysctl.conf:1: vm.nr_hugepages = 1024 # for web1 has more than a number, and the kernel takes the number → vm.nr_hugepages = 1024`},
		"sysctl in neither": {"-- etc/sysctl.conf --\nvm.nr_hugepages = 0xg\nvm.nr_overcommit_hugepages = 08\n", `
/etc/sysctl.conf:1: vm.nr_hugepages = 0xg is not a number, so that the kernel refuses it → vm.nr_hugepages = N
/etc/sysctl.conf:2: vm.nr_overcommit_hugepages = 08 is not a number, so that the kernel refuses it → vm.nr_overcommit_hugepages = N`},
		"sysctl": {"-- etc/sysctl.conf --\nvm.nr_hugepage = 4096\nvm.nr_hugepages=8G\nvm.transparent_hugepage=never\n-- etc/sysctl.d/90-hp.conf --\n\nvm.nr_overcommit_hugepages = 4096\n-- etc/sysctl.d/99-zz.conf --\nvm.nr_overcommit_hugepages = 0\n", `
/etc/sysctl.d/90-hp.conf:2: vm.nr_overcommit_hugepages = 4096 is overridden by /etc/sysctl.d/99-zz.conf:1, which is read later and says 0 → one of the two lines
/etc/sysctl.conf:1: vm.nr_hugepage = 4096 is not a setting of the kernel, so that nothing happens → vm.nr_hugepages = 4096
/etc/sysctl.conf:2: vm.nr_hugepages = 8G is not a number, so that the kernel refuses it → vm.nr_hugepages = 4096 for 8 GiB in pages of 2 MiB
/etc/sysctl.conf:3: vm.transparent_hugepage = never is not a setting of the kernel, so that nothing happens → transparent_hugepage=never on the kernel's command line`},
	} {
		t.Run(name, func(t *testing.T) {
			slips, err := InFiles(host.Host{Root: hosttest.Unpack(t, "one-node", test.files)})
			var got []string
			for _, s := range slips {
				got = append(got, s.Where+": "+s.Word+" "+s.Why+" → "+s.Right)
			}
			if text := strings.Join(got, "\n"); err != nil || text != strings.TrimPrefix(test.want, "\n") {
				t.Errorf("got:\n%s\n%v\nwant:%s", text, err, test.want)
			}
		})
	}
}

// What systemd is kept from reading is said of each line.
func TestMaskedSysctl(t *testing.T) {
	root := hosttest.Unpack(t, "one-node", "-- etc/sysctl.d/90-hp.conf --\nvm.nr_hugepages = 64\nvm.swappiness=1\n-- modes --\nrun/systemd/system/ 0755 0:0\netc/systemd/system/ 0755 0:0\n")
	hosttest.Must(t, os.Symlink("/dev/null", root.Path("etc/systemd/system/systemd-sysctl.service")))
	slips, err := InFiles(host.Host{Root: root})
	if err != nil || len(slips) != 1 || slips[0].Why != "is not read at boot, as systemd-sysctl.service is masked" {
		t.Errorf("%+v, %v", slips, err)
	}
}
