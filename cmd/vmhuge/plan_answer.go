package main

import (
	"fmt"
	"strings"

	"vmhuge/hostprep/plan"
	"vmhuge/picture"
)

func (p *program) showPlan(plan plan.Plan) {
	if p.json {
		p.printJSON(plan)
		return
	}
	for _, g := range plan.Guests {
		p.showPlanned(g)
	}
	for _, n := range plan.Needs {
		p.say("needed: %d %s of %s%s", n.Pages, plural(n.Pages, "page"), n.PageSize, placeWords(n))
	}
	for _, r := range plan.Reservations {
		p.say("%s", oneLine(r.Title()+": "+r.Words()))
	}
	m := plan.Memory
	p.say("host: %s, of which it keeps %s; the pools can grow by %s, and by %s after this",
		picture.Size(m.TotalKiB), picture.Size(m.ReserveKiB), picture.Size(m.HeadroomKiB), picture.Size(m.LeftKiB))
	if m.AreaKiB > 0 {
		p.say("area: %s of it, in which the kernel can allocate pages of 1 GiB on demand", picture.Size(m.AreaKiB))
	}
	if plan.Fits {
		p.say("all of them fit")
	} else {
		if len(plan.Guests) > 1 {
			p.insist("not all of them fit: %s is the first that does not", oneLine(plan.FirstFailure))
		}
		for _, l := range plan.Lacks {
			where := "the host"
			if l.Node >= 0 {
				where = fmt.Sprintf("node %d", l.Node)
			}
			p.insist("%s is %s short", where, picture.Size(l.KiB))
		}
		if len(plan.Move) < len(plan.Guests) {
			p.insist("without %s, the rest fit", oneLine(strings.Join(plan.Move, ", ")))
		}
	}
	for _, s := range plan.Settings {
		p.say("to reserve what fits (%s): %s", settingWords[s.Kind], s.Text)
	}
	p.showOvercommit(m)
	p.drawNodes(plan.Nodes)
}

var settingWords = map[string]string{"kernel": "kernel command line", "sysctl": "sysctl", "command": "at boot"}

func (p *program) showPlanned(g plan.Guest) {
	takes := totalsWords(g.Totals)
	if g.InsteadOf != nil && len(g.Totals) == 0 {
		takes = picture.Size(g.PlainKiB) + " on transparent huge pages"
	} else if g.PlainKiB > 0 {
		takes = strings.TrimPrefix(takes+", "+picture.Size(g.PlainKiB)+" on small pages", ", ")
	}
	takes += fmt.Sprintf(", and %s for QEMU", picture.Size(g.OverheadKiB))
	if g.LaterKiB > 0 {
		takes += fmt.Sprintf("; %s more when its virtio-mem devices are plugged", picture.Size(g.LaterKiB))
	}
	switch {
	case g.Runs:
		p.say("%s: runs, has %s", oneLine(g.Name), takes)
	case g.Fits && g.InsteadOf != nil:
		p.say("%s: fits, but not on the %s of its XML: takes %s", oneLine(g.Name), totalsWords(g.InsteadOf), takes)
	case g.Fits:
		p.say("%s: fits, takes %s", oneLine(g.Name), takes)
	default:
		p.insist("%s: does not fit, needs %s", oneLine(g.Name), takes)
		p.insist("  %s", oneLine(g.Why))
	}
	if g.Warning != "" {
		p.insist("  %s", oneLine(g.Warning))
	}
}

func placeWords(n plan.Need) string {
	switch n.Binding {
	case "strict":
		return " bound to node " + n.HostNodes
	case "cpuset":
		return " confined to node " + n.HostNodes
	}
	return " on any node"
}

// showOvercommit says what may be promised twice, and what not.
func (p *program) showOvercommit(m plan.Memory) {
	p.say("guests' memory: %s of the host's %s, %d %%, and %s for QEMU", picture.Size(m.GuestsKiB), picture.Size(m.TotalKiB), percent(m.GuestsKiB, m.TotalKiB), picture.Size(m.OverheadKiB))
	if m.ReservedKiB > 0 {
		p.say("  %s on reserved pages: it is neither swapped nor merged by KSM, and what a balloon frees%s stays in the pool", picture.Size(m.ReservedKiB), lostWords(m.BalloonLostKiB))
	}
	if m.PlainKiB > 0 {
		p.say("  %s on small pages: swap has %s free, KSM saves %s on this host now, balloons can free %s", picture.Size(m.PlainKiB), picture.Size(m.SwapFreeKiB), picture.Size(m.KSMKiB), picture.Size(m.BalloonKiB))
	}
	p.say("  swap: %s, %s recommended", picture.Size(m.SwapKiB), picture.Size(m.SwapWantedKiB))
}

func lostWords(kib int64) string {
	if kib == 0 {
		return ""
	}
	return fmt.Sprintf(" (balloons: %s)", picture.Size(kib))
}

func percent(part, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	return (part*100 + whole/2) / whole
}

// drawNodes draws what the memory of each node is used for once all that fit
// have started: a bar as long as the node is large.
func (p *program) drawNodes(nodes []plan.Node) {
	style := p.style(p.stdout)
	largest := int64(1)
	for _, n := range nodes {
		largest = max(largest, n.TotalKiB)
	}
	for _, n := range nodes {
		bar := style.Bar(style.Width-20, largest, picture.Amount{Part: picture.Used, N: n.UsedKiB}, picture.Amount{Part: picture.Ours, N: n.PlannedKiB},
			picture.Amount{Part: picture.Free, N: n.SpareKiB}, picture.Amount{Part: picture.CouldMake, N: n.OrdinaryKiB})
		p.say("%s", strings.TrimRight(fmt.Sprintf("node %-3d %9s  %s", n.Node, picture.Size(n.TotalKiB), bar), " "))
	}
	p.say("%s in use  %s this plan  %s pages left free  %s ordinary memory", style.Mark(picture.Used), style.Mark(picture.Ours), style.Mark(picture.Free), style.Mark(picture.CouldMake))
}
