package hostprep

import (
	"vmhuge/internal/pages"
)

// Candidate is a guest that may come to run on the host.
type Candidate struct {
	Name   string
	UUID   string
	Demand pages.Demand
	Traits pages.Traits
	// Session says that it is of a user's libvirt.
	Session bool
	Runs    bool   // it runs now, and has what it takes
	Doc     []byte // its XML, for another libvirt
	// Instead is the guest on the pages that it is started on where its own are short; nil:
	// it does not start then.
	Instead *Candidate
}

// NewCandidate is a guest with a demand that does not run.
func NewCandidate(demand pages.Demand, traits pages.Traits) Candidate {
	return Candidate{Name: demand.Domain, UUID: demand.UUID, Demand: demand, Traits: traits}
}

// Ordinary memory that QEMU needs besides the guest's RAM. An idle QEMU 7.2
// under TCG has 35 MiB resident, more once the guest runs and its code is
// translated. KubeVirt counts 30 MiB for QEMU and 8 MiB for each CPU of a KVM
// guest (GetMemoryOverhead() in pkg/virt-controller/services), and page tables.
const (
	qemuTCG  = 35 * pages.MiB
	qemuKVM  = 30 * pages.MiB
	qemuVCPU = 8 * pages.MiB
	tableRow = 8 // of a page table, for each small page
)

// Plain is the RAM in bytes that does not come from the pools.
func (c Candidate) Plain() int64 {
	plain := c.Traits.MemoryKiB
	for _, item := range c.Demand.Items {
		if item.Kind != pages.VirtioMem && item.Kind != pages.Growth {
			plain -= item.MemoryKiB
		}
	}
	return max(0, plain) * pages.KiB
}

// Overhead is the ordinary memory in bytes that QEMU needs for itself, on a host
// with small pages of a size.
func (c Candidate) Overhead(small pages.Size) int64 {
	if c.Demand.Type != "kvm" {
		return qemuTCG
	}
	return qemuKVM + int64(c.Traits.VCPUs)*qemuVCPU + c.Plain()/int64(small)*tableRow
}
