package explain

import (
	"slices"
	"strings"

	"vmhuge/internal/lazyregexp"
)

// Place is what a path is on: the same words mean something else of huge pages than
// of another file.
type Place int

// The places. What no text tells is taken for one on huge pages.
const (
	Untold      Place = iota - 1
	GuestFolder       // libvirt's folder of a guest on a hugetlbfs, or those above it
	MountRoot         // a hugetlbfs itself
	HugeFile          // anything else on a hugetlbfs
	SharedMem         // /dev/shm
	Looking           // /dev/kvmfr: Looking Glass
	MemoryDir         // libvirt's file-backed memory, memory_backing_dir of qemu.conf
	MemoryFile        // another file, such as an NVDIMM's
	Anonymous         // no file at all, and no huge page: memory-backend-ram, or a memfd without hugetlb
	Enclave           // the processor's own memory for SGX
	Proxmox           // the hugetlbfs of Proxmox VE, which starts QEMU without libvirt
	Device            // the memory of an ivshmem device (<shmem>), which is not the guest's RAM
)

// huge are the places of huge pages.
var huge = []Place{GuestFolder, MountRoot, HugeFile}

// plain are the places of files that guests have for memory, none of huge pages.
var plain = []Place{SharedMem, MemoryDir, MemoryFile}

// ofLibvirt are all places but those of guests that libvirt does not start.
var ofLibvirt = append([]Place{Anonymous, Looking}, slices.Concat(huge, plain)...)

func isOn(places []Place, place Place) bool {
	if len(places) == 0 {
		return true
	}
	if place == Untold {
		return slices.ContainsFunc(places, func(p Place) bool { return slices.Contains(huge, p) })
	}
	return slices.Contains(places, place)
}

// PlaceOf tells what a path is on, by the host's hugetlbfs and by the usual names:
// the text may be of another host, or the mount is what is missing.
func PlaceOf(path string, hugetlbfs ...string) Place {
	trimmed := strings.TrimRight(path, "/")
	if ofProxmox.Get().MatchString(trimmed) {
		return Proxmox // on a host of Proxmox VE a hugetlbfs as well
	}
	for _, mount := range hugetlbfs {
		if mount = strings.TrimRight(mount, "/"); mount == "" {
			continue
		}
		if trimmed == mount {
			return MountRoot
		}
		if strings.HasPrefix(trimmed, mount+"/") {
			return below(trimmed)
		}
	}
	switch {
	case deviceFile.Get().MatchString(trimmed):
		return Device
	case within(trimmed, "/dev/shm"), within(trimmed, "/run/shm"):
		return SharedMem
	case strings.HasPrefix(trimmed, "/dev/kvmfr"):
		return Looking
	case strings.Contains(trimmed, "/lib/libvirt/qemu/ram"):
		return MemoryDir
	case usualMount.Get().MatchString(trimmed):
		if usualMount.Get().FindString(trimmed) == trimmed {
			return MountRoot
		}
		return below(trimmed)
	}
	for _, no := range []string{"/var", "/home", "/root", "/run", "/tmp", "/etc", "/usr", "/opt", "/srv", "/sys", "/proc", "/boot"} {
		if within(trimmed, no) {
			return MemoryFile
		}
	}
	if guestFolder.Get().MatchString(trimmed) {
		return GuestFolder
	}
	return MemoryFile
}

// usualMount are the places where hugetlbfs are mounted by systemd, distributions,
// and handbooks: /dev/hugepages1G, /mnt/huge, /hugetlbfs, /run/hugepages/kvm,
// /var/lib/hugetlbfs/global/pagesize-2MB.
var usualMount = lazyregexp.New(`^(?:/dev|/mnt|/run|/var/lib|/libhugetlbfs|)/huge(?:page|tlb)?s?(?:fs)?(?:[-_.]?[0-9]+[kmgKMG]?[iI]?[bB]?)?(?:/kvm|/global/pagesize-[0-9]+[KMG]B)?(?:$|/)`)

// ofProxmox is where Proxmox VE mounts a hugetlbfs for each size of pages.
var ofProxmox = lazyregexp.New(`^/run/hugepages/kvm/[0-9]+kB(?:/|$)`)

// deviceFile are the files that Looking Glass and Scream share with a guest, by their handbooks.
var deviceFile = lazyregexp.New(`^/dev/shm/(?:looking-glass|scream)[^/]*$`)

var guestFolder = lazyregexp.New(`/libvirt/qemu(?:-[^/]*)?(?:/[0-9]+-[^/]+)?(?:/|$)`)

func below(path string) Place {
	if guestFolder.Get().MatchString(path) || strings.HasSuffix(path, "/libvirt") {
		return GuestFolder
	}
	return HugeFile
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}
