package check

import (
	"fmt"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
)

// OrdinaryMemory asks whether the kernel lets QEMU map the part of the guest's
// memory that no pool of huge pages backs. Where it does not, QEMU says "cannot
// set up guest memory". vm.overcommit_memory decides (__vm_enough_memory() of the
// kernel):
//
//	0  a mapping must not be larger than RAM and swap
//	1  anything may be mapped
//	2  all that is mapped must stay below CommitLimit
var OrdinaryMemory = Check{"memory", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	largest, all := g.Demand.Committed()
	if all == 0 {
		return nil, nil
	}
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	commit, err := h.Commit()
	if err != nil {
		return nil, err
	}
	need := pages.Amount(all) + " of memory that is not in <hugepages>"
	lower := "lower <memory>: virsh edit " + shell.Operand(g.Demand.Domain)
	switch left := commit.Left(); {
	case all > left:
		if g.Demand.Backing == pages.None {
			lower += "; or take it from the pools: " + command(g, "enable")
		}
		have := fmt.Sprintf("vm.overcommit_memory is 2, and %[2]s of the %[1]s that the kernel commits are left", pages.Amount(commit.Limit), pages.Amount(max(0, left)))
		return ramShort(have, need, lower+"; or allow more: sysctl vm.overcommit_memory=0, and change it in /etc/sysctl.d to keep it"), nil
	case commit.Mode == host.OvercommitGuess && largest > mem.Total+commit.Swap:
		have := fmt.Sprintf("the host has %s of RAM and %s of swap, and the kernel maps nothing larger (vm.overcommit_memory is 0)", pages.Amount(mem.Total), pages.Amount(commit.Swap))
		return ramShort(have, need, lower), nil
	case g.Demand.Backing == pages.THP: // the check of THP compares it with what is available
		return nil, nil
	}
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	var pooled int64
	for _, p := range state.Globals {
		pooled += p.Total * int64(p.Size)
	}
	if rest := mem.Total - pooled + commit.Swap; all > rest {
		have := fmt.Sprintf("outside its pools of huge pages the host has %s of RAM and swap", pages.Amount(rest))
		if pooled > 0 {
			lower += "; or free pages of the pools, which vmhuge status shows"
		}
		return []hostprep.Finding{{Severity: hostprep.Warning, Cause: hostprep.RAMShort, Have: have,
			Need: need + ": the guest starts, and the kernel kills it or another process once it uses that much", Do: lower}}, nil
	}
	return nil, nil
}}

// ramShort is the blocker of a guest whose ordinary memory cannot be mapped.
func ramShort(have, need, do string) []hostprep.Finding {
	return []hostprep.Finding{{Severity: hostprep.Blocker, Verdict: hostprep.NoMemory, Cause: hostprep.RAMShort, Have: have, Need: need, Do: do}}
}
