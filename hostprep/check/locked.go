package check

import (
	"strconv"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
)

// Locked asks whether libvirtd may lift the limit of locked memory, for a
// domain with <locked/>. In a container it often may not.
var Locked = Check{"locked", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	if !g.Demand.Locked || !g.System() {
		return nil, nil
	}
	daemon, err := libvirtd.ReadDaemon(h)
	if err != nil || daemon == nil { // when it starts, its unit sets its limits and capabilities
		return nil, err
	}
	pid := strconv.Itoa(daemon.PID)
	limits, err := h.Root.Read("proc", pid, "limits")
	if err != nil {
		return nil, err
	}
	status, err := h.Root.Read("proc", pid, "status")
	_, most := host.Limits(limits, "Max locked memory")
	if err != nil || most == "unlimited" || host.Capabilities(status)&host.CapSysResource != 0 {
		return nil, err
	}
	return []hostprep.Finding{{
		Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Cause: hostprep.LockedMemory,
		Have: daemon.Name + " cannot raise the limit of locked memory: it lacks CAP_SYS_RESOURCE",
		Need: "no limit, for <locked/>",
		Do:   "take <locked/> out of <memoryBacking>: huge pages are never swapped out",
	}}, nil
}}
