package hostprep

import (
	"strconv"

	"vmhuge/internal/pages"
)

// emulatorPinCheck asks whether QEMU may run on a processor of the nodes that
// the guest's memory is bound to. Since 7.2 it preallocates there (-object
// thread-context), and sched_setaffinity() gives EINVAL if the cpuset has none.
var emulatorPinCheck = Check{"emulatorpin", func(h Host, g Guest) ([]Finding, error) {
	pin, err := parseNodes(g.Demand.EmulatorCPUs)
	if err != nil || g.Demand.Auto || !g.threadContext() {
		return nil, err
	}
	var findings []Finding
	for _, list := range boundNodes(g.Demand) {
		nodes, err := parseNodes(list)
		if err != nil {
			return findings, err
		}
		var cpus []int
		there := true
		for _, node := range nodes {
			st, err := h.lstat("/sys/devices/system/node/node" + strconv.Itoa(node))
			if err != nil {
				return findings, err
			}
			if there = st != nil; !there {
				break // for the pool check to say
			}
			text, err := h.Root.Read("sys", "devices", "system", "node", "node"+strconv.Itoa(node), "cpulist")
			if err != nil {
				return findings, err
			}
			if text == "" || text == "\n" { // memory without processors
				continue
			}
			of, err := pages.ParseNodes(text)
			if err != nil {
				return findings, err
			}
			cpus = append(cpus, of...)
		}
		switch {
		case !there:
		case len(cpus) == 0:
			findings = append(findings, Finding{
				Severity: Warning, Verdict: Unknown, Cause: NodeWithoutCPUs,
				Have: "node " + list + " has no processors, and QEMU may not preallocate there",
				Need: "a node with processors, to be sure", Do: "name another in <numatune>, or start it and see",
			})
		case len(pin) > 0 && len(intersect(pin, cpus)) == 0 && g.Libvirt < 9002000: // since then it leaves such nodes out
			findings = append(findings, Finding{
				Severity: Blocker, Verdict: BadDomain, Cause: EmulatorPin,
				Have: "<emulatorpin> or <vcpu cpuset> keeps QEMU to processor " + g.Demand.EmulatorCPUs,
				Need: "a processor of node " + list + ", to which memory is bound, that is of " + pages.FormatNodes(cpus),
				Do:   "add one to <emulatorpin>",
			})
		}
	}
	return findings, nil
}}

// threadContext says whether QEMU preallocates in threads of the node.
func (g Guest) threadContext() bool { return g.Libvirt >= 9000000 && g.QEMU >= 7002000 }

// boundNodes returns the lists of nodes that QEMU binds memory to, each once.
func boundNodes(d pages.Demand) []string {
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
