package hostprep

import (
	"fmt"
	"slices"

	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
	"vmhuge/internal/versions"
)

// Guest is what a check must know of a domain that shall start. NewGuest makes it.
type Guest struct {
	Demand pages.Demand
	// Traits is what prepare has to say more of the domain; only it asks.
	Traits pages.Traits
	Starter
	IDs
	Allowance
	// KnownSizes are the page sizes for which the running daemon has said that it
	// has a mount, whatever its age and the folders on it say.
	KnownSizes []pages.Size
}

// NewGuest puts together what is known of a guest. What is not known has a value
// that says so: UnknownVersion, UnknownID, Unasked.
func NewGuest(demand pages.Demand, traits pages.Traits, by Starter, ids IDs, allowance Allowance) Guest {
	if versions.StrictDevices.In(by.Libvirt, by.QEMU) {
		demand.Items = slices.Clone(demand.Items)
		for i := range demand.Items {
			if demand.Items[i].OwnNodes {
				demand.Items[i].Mode = pages.Strict
			}
		}
	}
	return Guest{Demand: demand, Traits: traits, Starter: by, IDs: ids, Allowance: allowance, KnownSizes: nil}
}

// Starter is who starts a guest: a QEMU driver of libvirt's.
type Starter struct {
	// BaseDir is the folder below each hugetlbfs mount in which libvirt makes
	// one folder a guest: libvirt/qemu for qemu:///system.
	BaseDir string
	// Session says that an unprivileged daemon starts the guest as its own user.
	Session bool
	// UID is the user of a Session.
	UID int
	// Conf is the driver's qemu.conf; "": /etc/libvirt/qemu.conf. That of a
	// Session lies in the user's ~/.config/libvirt.
	Conf string
	// Libvirt and QEMU are the versions, as 9001000 is 9.1.0.
	Libvirt, QEMU uint32
}

// UnknownVersion is the version of what was not asked for it.
const UnknownVersion = 0

// VersionText writes a version as libvirt gives it, 7002022, as 7.2.22.
func VersionText(v uint32) string {
	return fmt.Sprintf("%d.%d.%d", v/1000000, v/1000%1000, v%1000)
}

// SystemStarter is libvirt's system driver.
func SystemStarter(libvirt, qemu uint32) Starter {
	return Starter{BaseDir: "libvirt/qemu", Session: false, UID: 0, Conf: "", Libvirt: libvirt, QEMU: qemu}
}

// NoStarter is for memory that no libvirt asks for.
func NoStarter() Starter {
	return Starter{BaseDir: "", Session: false, UID: 0, Conf: "", Libvirt: UnknownVersion, QEMU: UnknownVersion}
}

// IDs are the numbers that libvirt gives to starts of guests.
type IDs struct {
	// ID is that of this start; UnknownID everywhere but in the hook.
	ID int
	// RunningIDs are those of the domains that run now. nil: not known; then no
	// folder counts as left behind because of its id.
	RunningIDs []int
}

// UnknownID is the ID of a start that libvirt has not begun.
const UnknownID = 0

// UnknownIDs are those of a guest whose libvirt was not asked.
func UnknownIDs() IDs { return IDs{ID: UnknownID, RunningIDs: nil} }

// Allowance is what the host may give a guest. Host.Allowance reads it.
type Allowance struct {
	// HeadroomKiB is how much the pools may still grow.
	HeadroomKiB int64
	// Reserve is the ordinary memory in bytes that the host keeps, which is
	// already taken off HeadroomKiB.
	Reserve int64
	// Pending is what other guests that are starting will yet take.
	Pending []pool.Pending
	// Kept is what min_size= of the guest's mounts keeps for it of what is
	// reserved; nil: not known yet.
	Kept map[pages.Size]int64
	// ByCommit says that HeadroomKiB is what vm.overcommit_memory=2 leaves.
	ByCommit bool
}

// Unasked is the Allowance of a host that has not been asked: the pools are as they
// are, and must not grow. Hold asks by itself.
func Unasked() Allowance {
	return Allowance{HeadroomKiB: 0, Reserve: 0, Pending: nil, Kept: nil, ByCommit: false}
}

// ThreadContext says whether QEMU preallocates in threads of the node.
func (g Guest) ThreadContext() bool { return versions.ThreadContext.In(g.Libvirt, g.QEMU) }

// BoundNodes returns the lists of nodes that QEMU binds memory to, each once.
func BoundNodes(d pages.Demand) []string {
	var lists []string
	seen := map[string]bool{"": true}
	for _, item := range d.Items {
		if item.Mode != pages.Restrictive && item.Pages > 0 && !seen[item.HostNodes] {
			seen[item.HostNodes] = true
			lists = append(lists, item.HostNodes)
		}
	}
	return lists
}

// WithoutCPUs is what is wrong with guests on nodes that are memory alone.
func WithoutCPUs(nodes string) string {
	return "node " + nodes + " has no CPUs, and QEMU may be unable to preallocate there"
}

// FileSizes returns the page sizes of which QEMU maps files of a hugetlbfs.
func FileSizes(g Guest) []pages.Size {
	var sizes []pages.Size
	for _, item := range g.Demand.Items {
		if item.Source != "memfd" && !slices.Contains(sizes, item.PageSize) {
			sizes = append(sizes, item.PageSize)
		}
	}
	return sizes
}

// NewClaim is the claim of a guest with that demand, without its owner.
func NewClaim(d pages.Demand, uuid, name string) ledger.Claim {
	grows := slices.ContainsFunc(d.Items, func(i pages.Item) bool { return i.Kind == pages.Growth })
	return ledger.Claim{UUID: uuid, Name: name, Takes: TakesOf(d), Elastic: d.Elastic || grows}
}

// TakesOf is what a demand takes from the pools, and where.
func TakesOf(d pages.Demand) []pool.Take {
	takes := []pool.Take{}
	for _, item := range d.Items {
		if item.Pages > 0 {
			takes = append(takes, TakeOf(d, item))
		}
	}
	return takes
}

// TakeOf is what an item of a demand takes.
func TakeOf(d pages.Demand, item pages.Item) pool.Take {
	cpuset, _ := pages.ParseNodesOrNone(d.CPUSetNodes)
	nodes := BoundTo(item, cpuset)
	if nodes == nil {
		nodes = cpuset // of the thread that touches the pages
	}
	return pool.Take{Nodes: nodes, Size: item.PageSize, Pages: item.Pages, Growth: item.Kind == pages.Growth}
}

// RAMOf is the guest's RAM in bytes, on whatever pages.
func RAMOf(g Guest) int64 {
	var kib int64
	for _, b := range g.Demand.Backends {
		if b.Kind != pages.VirtioMem {
			kib += b.MemoryKiB
		}
	}
	return kib * pages.KiB
}

// System says that the daemon which has its pid in /run/libvirt starts the
// guest; an embedded driver has other folders, and reads the mounts anew.
func (s Starter) System() bool { return !s.Session && s.BaseDir == "libvirt/qemu" }

// BoundTo returns the nodes on which a backend must lie because QEMU binds it,
// nil for none.
func BoundTo(item pages.Item, cpuset []int) []int {
	if item.Mode != pages.Strict {
		return nil
	}
	nodes, _ := pages.ParseNodesOrNone(item.HostNodes)
	if len(nodes) > 0 && len(cpuset) > 0 {
		return pages.Intersect(nodes, cpuset)
	}
	return nodes
}

// NotAsked is the headroom of a guest of whom it is not asked if the pools may
// grow.
const NotAsked = 1 << 20 * pages.GiB / pages.KiB
