package explain

import (
	"os"
	"strings"
	"testing"
)

// TestTexts reads testdata/*.txt: what people paste, and the rows that a person who
// knows would name, with the domain. texts.txt has each message and each way in which
// pasting damages it, reports.txt whole reports, foreign.txt libvirt in other languages, others.txt hooks, containers,
// platforms that start guests, and programs that are none.
//
//	== pool-short node-short | web1
//	error: Failed to start domain 'web1'
//	…
func TestTexts(t *testing.T) {
	var all string
	for _, name := range []string{"texts.txt", "reports.txt", "foreign.txt", "others.txt"} {
		file, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		all += "\n" + strings.TrimSuffix(string(file), "\n")
	}
	n := 0
	for _, block := range strings.Split(all, "\n== ")[1:] {
		head, text, _ := strings.Cut(block, "\n")
		want, domain, _ := strings.Cut(head, "|")
		n++
		if got := ids(Explain(text)); got != strings.TrimSpace(want) {
			t.Errorf("%s:\n%q, not %q", text, got, strings.TrimSpace(want))
		}
		if got := DomainIn(text); got != strings.TrimSpace(domain) {
			t.Errorf("%s: domain %q, not %q", text, got, strings.TrimSpace(domain))
		}
	}
	if n < 200 {
		t.Errorf("%d texts are read", n)
	}
}

// TestPaths has the same messages about paths of every kind: what is on no hugetlbfs
// never gets a row of one.
func TestPaths(t *testing.T) {
	ofHuge := map[string]bool{"folder-mode": true, "folder-stale": true, "folder-of-root": true, "security-module": true, "mount-read-only": true,
		"mount-inodes": true, "mount-vanished": true, "session-folder": true, "mount-full": true, "pool-short": true, "chown-refused": true, "mount-option": true, "mount-late": true}
	messages := []string{
		"can't open backing store PATH for guest RAM: Permission denied", "can't open backing store PATH for guest RAM: No such file or directory",
		"can't open backing store PATH for guest RAM: No space left on device", "can't open backing store PATH for guest RAM: Read-only file system",
		"Unable to create PATH: Permission denied", "Unable to create 'PATH': Read-only file system", "Unable to create PATH: No space left on device",
		"Unable to create directory PATH: Permission denied", "-object memory-backend-file,mem-path=PATH,size=1G: unable to map backing store for guest RAM: Cannot allocate memory",
		"unable to set user and group to '64055:107' on 'PATH': Operation not permitted", "mount: PATH: wrong fs type, bad option, bad superblock on none",
	}
	for _, path := range []string{
		"/var/lib/libvirt/qemu/nvram", "/var/lib/libvirt/qemu/domain-1-web1", "/var/lib/libvirt/qemu/ram/libvirt/qemu/1-web1", "/var/lib/libvirt/qemu/ram",
		"/dev/shm/x", "/dev/shm/libvirt/qemu/1-web1", "/run/shm/a", "/dev/kvmfr0", "/dev/pmem0", "/dev/dax0.0", "/home/u/.config/libvirt/qemu/nvram",
		"/home/hugepages/x", "/var/lib/libvirt/images/nvdimm.img", "/var/lib/libvirt/swtpm/1c01664c", "/run/libvirt/qemu/1-web1.pid", "/tmp/huge/x",
		"/run/user/1000/libvirt/qemu/run", "/mnt/pmem/nv0", "/srv/vm/mem", "/opt/hugepages", "/root/hugepages", "/var/tmp/qemu", "/data/vm.raw", "/etc/libvirt/qemu/web1.xml",
		"/var/log/libvirt/qemu/web1.log", "/var/cache/libvirt/qemu/capabilities", "/usr/share/OVMF/OVMF_VARS.fd", "/sys/fs/cgroup/x", "/proc/1/fd", "/mnt/hugefiles/x",
	} {
		for _, m := range messages {
			text := strings.ReplaceAll(m, "PATH", path)
			for _, found := range Explain(text, "/dev/hugepages") {
				if ofHuge[found.ID] {
					t.Errorf("%s: %s", text, found.ID)
				}
				if strings.Contains(found.Cure(Names{}), "/dev/hugepages") {
					t.Errorf("%s: %s", text, found.Cure(Names{}))
				}
			}
		}
	}
	for path, want := range map[string]Place{
		"/dev/hugepages": MountRoot, "/dev/hugepages/": MountRoot, "/dev/hugepages1G": MountRoot, "/dev/hugepages-1G": MountRoot, "/mnt/huge": MountRoot, "/mnt/huge_1G": MountRoot,
		"/hugepages": MountRoot, "/hugetlbfs": MountRoot, "/run/hugepages/kvm": MountRoot, "/run/hugepages/kvm/1048576kB/x": Proxmox, "/run/hugepages/kvm/libvirt/qemu/1-a": GuestFolder, "/var/lib/hugetlbfs/global/pagesize-2MB": MountRoot,
		"/dev/hugepages/libvirt": GuestFolder, "/dev/hugepages/libvirt/qemu": GuestFolder, "/dev/hugepages/libvirt/qemu/12-a b": GuestFolder,
		"/pool/libvirt/qemu/1-web1": GuestFolder, "/dev/hugepages/user": HugeFile, "/mine": MountRoot, "/mine/libvirt/qemu/1-web1": GuestFolder, "/mine/x": HugeFile,
	} {
		if got := PlaceOf(path, "/mine"); got != want {
			t.Errorf("%s is %d, not %d", path, got, want)
		}
	}
}
