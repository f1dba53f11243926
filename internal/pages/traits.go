package pages

// Traits is what of a domain, besides its demand, tells which pages suit it
// and what else it takes of the host.
type Traits struct {
	MemoryKiB  int64 `json:"memory_kib"`  // of RAM at start, on whatever pages
	CurrentKiB int64 `json:"current_kib"` // what of it the balloon leaves the guest at start
	VCPUs      int   `json:"vcpus"`
	PartKiB    int64 `json:"part_kib"`   // the largest power of two of which each part of the RAM is a multiple
	Shared     bool  `json:"shared"`     // other processes may map it
	SharedKiB  int64 `json:"shared_kib"` // of cells that memAccess shares, whatever the rest is
	SmallKiB   int64 `json:"small_kib"`  // of memory devices whose own <pagesize> is that of small pages
	Locked     bool  `json:"locked"`     // <memoryBacking><locked/>
	VFIO       int   `json:"vfio"`       // devices whose DMA pins all of the RAM
	SharedBy   int   `json:"shared_by"`  // virtiofs, vhost-user and vhost-vdpa devices, which must map it
	Balloon    bool  `json:"balloon"`    // a virtio balloon
	Reporting  bool  `json:"reporting"`  // the balloon gives back what the guest leaves free
	LimitKiB   int64 `json:"limit_kib"`  // <memtune><hard_limit>; 0: none
	// SoftLimitKiB is <memtune><soft_limit>, above which the kernel slows QEMU down; 0: none.
	SoftLimitKiB int64 `json:"soft_limit_kib"`
	Autostart    bool  `json:"autostart"` // libvirt starts it with the host
	// Arch is the architecture of the kernel that its pages are of; "": any, or not known.
	Arch     string `json:"arch"`
	Security string `json:"security"` // <launchSecurity type=…>: tdx, s390-pv; "": none
}

// Fills says that each part of the RAM fills its last page of a size.
func (t Traits) Fills(size Size) bool { return t.PartKiB%size.KiB() == 0 }

// Pinned says that the RAM can't leave the host's memory on any pages.
func (t Traits) Pinned() bool { return t.VFIO > 0 || t.Locked }
