package main

import (
	"fmt"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/picture"
)

// drawNodes draws what the memory of each node is used for once all that fit
// have started: a bar as long as the node is large.
func (p *program) drawNodes(nodes []hostprep.PlanNode) {
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
