// Package hostpage tells how a host is without a guest: a line each for what is as it should
// be and what is not. It never writes.
package hostpage

import (
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// hostCheck is one question about the host alone, without a domain. Look never
// writes. An error means that the check could not tell.
type hostCheck struct {
	Name string
	Look func(host.Host, anyGuest) ([]Fact, error)
}

// hostChecks lists every check of a host alone, in the order of their lines.
func hostChecks() []hostCheck {
	return []hostCheck{
		processorCheck, virtualizationCheck, kernelCheck, cmdlineCheck, nextBootCheck, slipsCheck,
		pageSizesCheck, memoryCheck, poolsCheck, poolWritesCheck, holdersCheck, reservedCheck, hugetlbfsCheck,
		qemuUserCheck, devKVMCheck, kvmPagesCheck, hugetlbCgroupCheck, securityCheck,
		hostTHPCheck, thpStallCheck, ksmCheck, swapCheck, libvirtCheck, hookCheck, hookWritesCheck,
	}
}

// Fact is one line about a host: a finding, or what is as it should be.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"` // is Have
	hostprep.Finding
}

// Libvirt is what the running libvirt says of itself, each version as 9001000 is
// 9.1.0. Err says why it does not; all zero: it was not asked.
type Libvirt struct {
	Version, QEMU uint32
	Err           error
}

// anyGuest is the smallest guest, with which the checks of domains are asked
// about the host: one page of the default size, bound to a node.
type anyGuest struct {
	hostprep.Guest
	size pages.Size // the host's default; 0: not known
	told Libvirt
}

// Facts runs every check of the host alone. What vmhuge start cannot fix is a blocker.
func Facts(h host.Host, told Libvirt) []Fact {
	h = h.Snapshot()
	mem, _ := h.Meminfo() // memoryCheck says what is wrong with it
	size := mem.HugePageSize
	by := hostprep.SystemStarter(told.Version, told.QEMU)
	if told.QEMU == hostprep.UnknownVersion {
		by = hostprep.SystemStarter(debian12.Version, debian12.QEMU)
	}
	return look(h, anyGuest{newGuest(size, by), size, told}, hostChecks())
}

// debian12 has the most pitfalls of the versions in use.
var debian12 = Libvirt{Version: 9000000, QEMU: 7002000}

// newGuest is one with a single page, bound to a node, that is a file.
func newGuest(size pages.Size, by hostprep.Starter) hostprep.Guest {
	demand := pages.Demand{Type: "kvm", Backing: pages.Hugetlb, Items: []pages.Item{{GuestNode: -1, Kind: pages.RAM,
		PageSize: size, Pages: 1, MemoryKiB: size.KiB(), Source: "file", HostNodes: "0", Mode: pages.Strict}}}
	return hostprep.NewGuest(demand, pages.Traits{}, by, hostprep.UnknownIDs(), hostprep.Unasked())
}

func look(h host.Host, g anyGuest, checks []hostCheck) []Fact {
	all := []Fact{}
	for _, one := range checks {
		facts, err := one.Look(h, g)
		if err != nil {
			facts = append(facts, Fact{Name: one.Name, Finding: check.CouldNotTell(h, g.Guest, err)})
		}
		for _, f := range facts {
			if check.RefusesConf(f.Finding) && slices.ContainsFunc(all, func(other Fact) bool { return check.RefusesConf(other.Finding) }) {
				continue
			}
			f.Check, f.Value = one.Name, f.Have
			if f.Changes == nil {
				f.Changes = []change.Change{}
			}
			all = append(all, f)
		}
	}
	return all
}

// Conclude is hostprep.Conclude for a host alone.
func Conclude(facts []Fact) hostprep.Verdict {
	var findings []hostprep.Finding
	for _, f := range facts {
		findings = append(findings, f.Finding)
	}
	verdict, _, _ := hostprep.Conclude(findings)
	return verdict
}

func fine(name, have string) Fact {
	return Fact{Name: name, Finding: hostprep.Finding{Severity: hostprep.OK, Have: have}}
}

func off(severity hostprep.Severity, name, have, need, do string) Fact {
	return Fact{Name: name, Finding: hostprep.Finding{Severity: severity, Have: have, Need: need, Do: do}}
}

// block is off for a problem that keeps guests from starting.
func block(verdict hostprep.Verdict, name, have, need, do string) Fact {
	f := off(hostprep.Blocker, name, have, need, do)
	f.Verdict = verdict
	return f
}

// of turns the findings of a domain's check into lines about the host. worst caps their
// severity, because no domain is known.
func of(name string, findings []hostprep.Finding, worst hostprep.Severity) []Fact {
	var facts []Fact
	for _, f := range findings {
		if f.Severity == hostprep.Blocker && (f.Fixable || worst != hostprep.Blocker) {
			f.Severity = hostprep.Warning
		}
		if f.Severity != hostprep.Blocker {
			f.Verdict = ""
		}
		facts = append(facts, Fact{Name: name, Finding: f})
	}
	return facts
}
