package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"vmhuge/hostprep"
)

// barWidth leaves room for the node's name in 80 columns.
const barWidth = 60

// drawNodes draws what the memory of each node is used for once all that fit
// have started: a bar as wide as the node is large, the largest barWidth.
func (p *program) drawNodes(nodes []hostprep.PlanNode) {
	marks := []string{"█", "▓", "░", "·"}
	if !utf8Terminal() {
		marks = []string{"#", "+", "-", "."}
	}
	largest := int64(1)
	for _, n := range nodes {
		largest = max(largest, n.TotalKiB)
	}
	for _, n := range nodes {
		bar, drawn, sum := "", int64(0), int64(0)
		for i, part := range []int64{n.UsedKiB, n.PlannedKiB, n.SpareKiB, n.OrdinaryKiB} {
			sum += max(0, part)
			to := (sum*barWidth + largest/2) / largest
			bar += strings.Repeat(marks[i], int(max(0, to-drawn)))
			drawn = max(drawn, to)
		}
		p.say("%s", strings.TrimRight(fmt.Sprintf("node %-3d %9s  %s", n.Node, size(n.TotalKiB), bar), " "))
	}
	p.say("%s in use  %s this plan  %s pages left free  %s ordinary memory", marks[0], marks[1], marks[2], marks[3])
}

// utf8Terminal says whether the locale has more than ASCII.
func utf8Terminal() bool {
	locale := strings.ToUpper(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")))
	return strings.Contains(locale, "UTF-8") || strings.Contains(locale, "UTF8")
}
