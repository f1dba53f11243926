package hostprep

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// impossible says what of a preparation neither the kernel nor the host can hold,
// with what stands from before where it is for good.
func (h Host) impossible(p Preparation) ([]Finding, error) {
	var table Boot
	var err error
	if p.Persist {
		if table, err = h.Boot(); err != nil {
			return nil, err
		}
	}
	table = table.with(p)
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	nodes, err := h.Nodes()
	if err != nil {
		return nil, err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	reserve := cmp.Or(p.Reserve, pool.Reserve(mem.Total))
	var sizes []string
	for _, size := range state.Sizes() {
		sizes = append(sizes, size.String())
	}
	var all int64
	bound := map[int]int64{}
	var findings []Finding
	refuse := func(verdict Verdict, have, need, do string) {
		findings = append(findings, Finding{Severity: Blocker, Verdict: verdict, Have: have, Need: need, Do: do})
	}
	for _, row := range table.sums() {
		if !slices.Contains(state.Sizes(), row.Size) {
			refuse(BadHost, fmt.Sprintf("the kernel has no pages of %s", row.Size), row.words(), "take a size that it has: "+orNone(sizes))
		}
		for _, id := range row.Nodes {
			if !slices.ContainsFunc(nodes, func(n Node) bool { return n.ID == id }) {
				refuse(BadHost, fmt.Sprintf("there is no node %d", id), row.words(), "take a node that is there")
			}
		}
		if len(row.Nodes) == 1 {
			bound[row.Nodes[0]] += row.Pages * int64(row.Size)
		}
		all += row.Pages * int64(row.Size)
	}
	const do = "ask for fewer pages, or let the host keep less (--host-reserve)"
	if can := mem.Total - reserve; all > can {
		refuse(NoMemory, fmt.Sprintf("%s of RAM, of which the host keeps %s", pages.FormatBytes(mem.Total), pages.FormatBytes(reserve)),
			fmt.Sprintf("%s for pages", pages.FormatBytes(all)), do)
	}
	for _, n := range nodes {
		if can := n.Total - pool.NodeReserve(reserve, len(nodes)); len(nodes) > 1 && bound[n.ID] > can {
			refuse(NoMemory, fmt.Sprintf("%s on node %d, of which %s must stay ordinary memory", pages.FormatBytes(n.Total), n.ID, pages.FormatBytes(n.Total-can)),
				fmt.Sprintf("%s for pages there", pages.FormatBytes(bound[n.ID])), do)
		}
	}
	return findings, nil
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
