package check

import (
	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
	"vmhuge/internal/versions"
)

// EmulatorPin asks whether QEMU may run on a processor of the nodes that
// the guest's memory is bound to. Since 7.2 it preallocates there (-object
// thread-context), and sched_setaffinity() gives EINVAL if the cpuset has none.
var EmulatorPin = Check{"emulatorpin", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	pin, err := pages.ParseNodesOrNone(g.Demand.EmulatorCPUs)
	if err != nil || g.Demand.Auto || !g.ThreadContext() {
		return nil, err
	}
	var findings []hostprep.Finding
	for _, list := range hostprep.BoundNodes(g.Demand) {
		nodes, err := pages.ParseNodesOrNone(list)
		if err != nil {
			return findings, err
		}
		var cpus []int
		there := true
		for _, node := range nodes {
			of, known, err := h.NodeCPUs(node)
			if err != nil {
				return findings, err
			}
			if there = known; !there {
				break // the pool check reports it
			}
			cpus = append(cpus, of...)
		}
		switch {
		case !there:
		case len(cpus) == 0:
			findings = append(findings, hostprep.Finding{
				Severity: hostprep.Warning, Verdict: hostprep.Unknown, Cause: hostprep.NodeWithoutCPUs,
				Have: hostprep.WithoutCPUs(list),
				Need: "a node with CPUs", Do: "name another node in <numatune>, or start the guest and see",
			})
		case len(pin) > 0 && len(pages.Intersect(pin, cpus)) == 0 && !versions.PinIsHeeded.In(g.Libvirt, g.QEMU):
			findings = append(findings, hostprep.Finding{
				Severity: hostprep.Blocker, Verdict: hostprep.BadDomain, Cause: hostprep.EmulatorPin,
				Have: "<emulatorpin> or <vcpu cpuset> restricts QEMU to CPU " + g.Demand.EmulatorCPUs,
				Need: "a processor of node " + list + ", to which memory is bound, that is of " + pages.FormatNodes(cpus),
				Do:   "add one to <emulatorpin>",
			})
		}
	}
	return findings, nil
}}
