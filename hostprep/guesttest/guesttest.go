// Package guesttest has guests for tests of checks.
package guesttest

import (
	"fmt"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// OnNode is a guest that is bound to a node, of libvirt 9.0 and QEMU 7.2.
func OnNode(nodes string, change func(*hostprep.Guest)) hostprep.Guest {
	return Guest(func(g *hostprep.Guest) {
		g.Libvirt, g.QEMU = 9000000, 7002022
		g.Demand.Items[0].HostNodes, g.Demand.Items[0].Mode = nodes, pages.Strict
		if change != nil {
			change(g)
		}
	})
}

func Pinned(cpus string) func(*hostprep.Guest) {
	return func(g *hostprep.Guest) { g.Demand.EmulatorCPUs = cpus }
}

func Locked(g *hostprep.Guest) { g.Demand.Locked = true }

// Takes is a guest that takes pages of 2 MiB in one backend.
func Takes(n int64) hostprep.Guest {
	return hostprep.NewGuest(
		pages.Demand{Domain: "web1", Type: "kvm", Backing: pages.Hugetlb,
			Items: []pages.Item{{GuestNode: -1, Kind: pages.RAM, PageSize: pages.Size2MiB, Pages: n, MemoryKiB: n * 2048, Source: "file"}}},
		pages.Traits{}, hostprep.SystemStarter(hostprep.UnknownVersion, hostprep.UnknownVersion), hostprep.IDs{ID: hostprep.UnknownID, RunningIDs: []int{3}}, hostprep.Allowance{HeadroomKiB: 8 << 20})
}

// Guest is a guest of 1000 pages with something else.
func Guest(change func(*hostprep.Guest)) hostprep.Guest { g := Takes(1000); change(&g); return g }

func Memfd(g *hostprep.Guest) { g.Demand.Items[0].Source = "memfd" }

func OneGiB(g *hostprep.Guest) {
	g.Demand.Items[0].PageSize, g.Demand.Items[0].Pages = pages.Size1GiB, 1
}

// Show writes findings one a line.
func Show(findings []hostprep.Finding) string {
	var lines []string
	for _, f := range findings {
		line := fmt.Sprintf("%s %s %s", f.Check, f.Severity, f.Verdict)
		if f.Fixable {
			line += " fixable"
		}
		if f.Restart {
			line += " restart"
		}
		line += ": " + f.Have
		if len(f.Changes) > 0 && f.Changes[0].Kind != change.KindPool { // those: TestPoolChanges
			line += " [" + strings.ReplaceAll(change.Join(f.Changes), " && ", "; ") + "]"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// Pending is pages that somebody else will yet take, on any node or on these.
func Pending(n int64, nodes ...int) []pool.Pending {
	return []pool.Pending{{Take: pool.Take{Nodes: nodes, Size: pages.Size2MiB, Pages: n}, Unmapped: n, Unfaulted: n}}
}

func Bound(g hostprep.Guest, nodes string) hostprep.Guest {
	g.Demand.Items[0].HostNodes, g.Demand.Items[0].Mode = nodes, pages.Strict
	return g
}

// Session is a guest of alice's own libvirt.
func Session(change func(*hostprep.Guest)) hostprep.Guest {
	g := Guest(change)
	g.Session, g.UID, g.Conf, g.Demand.Type = true, 1000, "/home/alice/.config/libvirt/qemu.conf", "qemu"
	return g
}
