package plan

import (
	"fmt"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// settings reserve the pools as they then are, for the sizes that the guests take. Where the
// kernel keeps areas for gigantic pages it reserves none at boot: then the areas must have
// room for them.
func (r rehearsal) settings(root hostfs.Root, kernel boot.Kernel, guests []hostprep.Candidate, defaultSize pages.Size) []Setting {
	sizes := map[pages.Size]bool{}
	for _, c := range guests {
		for _, total := range c.Demand.Totals() {
			sizes[total.PageSize] = true
		}
	}
	var settings []Setting
	for _, g := range r.state.Globals {
		if !sizes[g.Size] {
			continue
		}
		nodes := r.state.Nodes(g.Size)
		var byNode []string
		bytes := map[int]int64{}
		for _, node := range nodes {
			p, _ := r.state.Pool(node, g.Size)
			byNode = append(byNode, fmt.Sprintf("%d:%d", node, p.Total))
			bytes[node] = p.Total * int64(g.Size)
		}
		switch count := fmt.Sprint(g.Total); {
		case g.Size == kernel.Gigantic() && kernel.HasArea():
			if word := kernel.AreaFor(bytes); word != "" {
				settings = append(settings, Setting{"kernel", word})
			}
		case g.Size >= pages.Size1GiB:
			if len(nodes) > 1 {
				count = strings.Join(byNode, ",")
			}
			settings = append(settings, Setting{"kernel", "hugepagesz=" + pages.SizeWord(g.Size) + " hugepages=" + count})
		case len(nodes) < 2 && g.Size == defaultSize:
			settings = append(settings, Setting{"sysctl", "vm.nr_hugepages = " + count})
		default:
			for _, node := range nodes {
				p, _ := r.state.Pool(node, g.Size)
				settings = append(settings, Setting{"command", fmt.Sprintf("echo %d > %s", p.Total, pool.File(root, node, g.Size))})
			}
		}
	}
	return settings
}
