package pages

// Backing is what backs a guest's RAM.
type Backing string

// The backings of a guest's RAM.
const (
	Hugetlb Backing = "hugetlb" // pages of the kernel's hugetlb pools
	THP     Backing = "thp"     // transparent huge pages
	None    Backing = "none"    // plain pages
)

// Kind is the part of a guest's memory that an Item stands for; the words are
// libvirt's element names and memory models.
type Kind string

// The kinds of guest memory that come from hugetlb pools.
const (
	RAM       Kind = "ram"        // <memory>, in a guest without NUMA cells
	Cell      Kind = "cell"       // <numa><cell>
	DIMM      Kind = "dimm"       // <memory model='dimm'>
	VirtioMem Kind = "virtio-mem" // <memory model='virtio-mem'>
	Growth    Kind = "growth"     // none yet: it may grow by that much while it runs
)

// Mode is how <numatune> binds memory to host nodes.
type Mode string

// The modes of <numatune>, in libvirt's words.
const (
	Strict      Mode = "strict"
	Preferred   Mode = "preferred"
	Interleave  Mode = "interleave"
	Restrictive Mode = "restrictive"
)

// Item is one memory backend of QEMU that takes pages from a hugetlb pool.
type Item struct {
	GuestNode int    `json:"guest_node"` // -1: no guest NUMA node
	Kind      Kind   `json:"kind"`
	PageSize  Size   `json:"page_size_kib"` // 0: the host's default, unknown here
	Pages     int64  `json:"pages"`         // taken at start; -1: not known, with PageSize 0
	MemoryKiB int64  `json:"memory_kib"`    // as libvirt passes it to QEMU
	HostNodes string `json:"host_nodes"`    // a list such as 0-1,3; "": any node
	Mode      Mode   `json:"mode"`          // "": no <numatune>
	Source    string `json:"source"`        // file or memfd
	// LaterPages is what a virtio-mem device takes when the guest's driver
	// plugs what <requested> asks for; at start it takes nothing.
	LaterPages int64 `json:"later_pages,omitempty"`
	// OwnNodes says that HostNodes is a memory device's own <nodemask>, for which
	// <numatune> only gives the mode.
	OwnNodes bool `json:"-"`
	// Device is the place of a memory device among those of the domain.
	Device int `json:"-"`
}

// Backend is one memory object of QEMU, on whatever pages.
type Backend struct {
	Kind      Kind
	MemoryKiB int64
	// Uncommitted says that the kernel does not count it as memory that it has
	// promised (Committed_AS): huge pages, and files that are mapped shared.
	Uncommitted bool
}

// Total is what a demand takes from the pools of one page size.
type Total struct {
	PageSize  Size  `json:"page_size_kib"`
	Pages     int64 `json:"pages"`
	MemoryKiB int64 `json:"memory_kib"`
}

// Demand is what a start of a domain takes from the hugetlb pools.
type Demand struct {
	Domain  string  `json:"domain"`
	UUID    string  `json:"uuid,omitempty"`
	Type    string  `json:"type"` // of <domain>: kvm, qemu
	Backing Backing `json:"backing"`
	Items   []Item  `json:"demand"` // in the order in which QEMU maps them
	// Backends are all that the guest's memory is made of, in the order of Items.
	Backends []Backend `json:"-"`
	// Unconfined says that no profile of AppArmor's is to hold QEMU.
	Unconfined bool `json:"-"`
	// Context is that of SELinux which the domain itself gives QEMU; "none": none. "": libvirt
	// gives it that of all guests.
	Context string `json:"-"`
	// Shared says that other processes may map some of it.
	Shared bool `json:"-"`
	// PartlyShared says that this holds for some of its cells only.
	PartlyShared bool `json:"-"`
	// DefaultSize says that the domain leaves the page size of some of it to
	// libvirt, whose default Items then have.
	DefaultSize bool `json:"-"`
	// ID is what libvirt counts the guest as since it starts or runs; 0: it does
	// not.
	ID int `json:"-"`
	// CPUSetNodes are the nodes that libvirt sets as cpuset.mems of the
	// thread that maps the memory: <numatune><memory> with mode strict or
	// restrictive and a nodeset. "": no such limit.
	CPUSetNodes string `json:"-"`
	// Auto says that numad chooses the nodes when the guest starts, so that
	// nobody knows them before.
	Auto bool `json:"-"`
	// Elastic says that pages may leave the guest while it runs: a memory device
	// is unplugged, or the balloon takes pages out of memory that is mapped
	// shared. Of a private mapping QEMU punches holes only into the empty file.
	Elastic bool `json:"-"`
	// EmulatorCPUs are the processors that QEMU's threads are kept to, but for
	// those of the guest's: <emulatorpin>, else <vcpu cpuset>. "": any.
	EmulatorCPUs string `json:"-"`
	// Partition is <resource><partition>, below which the guest's cgroup is
	// made. "": libvirt's default.
	Partition string `json:"-"`
	// Keep is how long its pages stay for it once it has ended.
	Keep Keep `json:"-"`
	// AtLeast is how many percent of its RAM in use transparent huge pages must back; 0: as they come.
	AtLeast float64 `json:"-"`
	// IfShort is what it is started on where the host has too few of its pages.
	IfShort IfShort `json:"-"`
	// Locked says that <memoryBacking><locked/> is set.
	Locked bool `json:"-"`
}

// Totals sums the demand by page size, in the order of first use.
func (d Demand) Totals() []Total {
	totals := []Total{}
	index := map[Size]int{}
	for _, item := range d.Items {
		i, ok := index[item.PageSize]
		if !ok {
			i = len(totals)
			index[item.PageSize] = i
			totals = append(totals, Total{PageSize: item.PageSize})
		}
		if item.Pages == 0 {
			continue // it takes them later
		}
		totals[i].MemoryKiB += item.MemoryKiB
		if item.Pages < 0 {
			totals[i].Pages = -1
		} else {
			totals[i].Pages += item.Pages
		}
	}
	return totals
}

// PreallocThreads is how many threads QEMU can use to preallocate the guest's
// memory on a host with so many CPUs (0: not known): at most 16, and one for
// each 64 MiB of the largest backend (get_memset_num_threads() of QEMU). At
// least 1.
func (d Demand) PreallocThreads(cpus int) int {
	var largest int64
	for _, item := range d.Items {
		largest = max(largest, item.MemoryKiB)
	}
	for _, backend := range d.Backends {
		largest = max(largest, backend.MemoryKiB)
	}
	threads := min(16, largest/(64*1024))
	if cpus > 0 {
		threads = min(threads, int64(cpus))
	}
	return int(max(1, threads))
}

// Committed is the memory in bytes that the kernel has to commit when QEMU maps it, and the
// largest single mapping: all but huge pages and shared files. The memory of a virtio-mem device
// is committed only as the device grows.
func (d Demand) Committed() (largest, all int64) {
	for _, b := range d.Backends {
		if b.Kind == VirtioMem || b.Uncommitted {
			continue
		}
		all += b.MemoryKiB * KiB
		largest = max(largest, b.MemoryKiB*KiB)
	}
	return largest, all
}
