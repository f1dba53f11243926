package capacity

import (
	"fmt"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// OnDest asks whether a guest would find its pages on another host, of which only the
// nodes and pools are known, as that host's libvirt reports them. The rules are those for
// this host. The caller lists what cannot be seen from here.
func OnDest(nodes []host.Node, state pool.State, d pages.Demand) ([]hostprep.Finding, error) {
	findings, err := BadNodes(nodes, d)
	if err != nil || len(findings) > 0 {
		return findings, err
	}
	for _, total := range d.Totals() {
		if _, ok := state.Global(total.PageSize); !ok && total.PageSize != 0 {
			findings = append(findings, hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Cause: hostprep.PageSizeMissing,
				Have: "the kernel has pages of " + pages.OrNone(sizeWords(state)), Need: "pages of " + total.PageSize.String(),
				Do: "vmhuge enable --size with one of these sizes, then restart the guest"})
		}
	}
	for _, l := range Limits(state, hostprep.NewGuest(d, pages.Traits{}, hostprep.NoStarter(), hostprep.UnknownIDs(), hostprep.Unasked())) {
		f := l.Judge()
		if f.Severity == "" {
			continue
		}
		if f.Severity == hostprep.Blocker {
			f.Have += freeWords(nodes, l.Nodes)
			f.Do = "allocate them there first, or install vmhuge's hook there (vmhuge hook install)"
		}
		findings = append(findings, f)
	}
	if d.Auto {
		findings = append(findings, hostprep.Finding{Severity: hostprep.Warning, Verdict: hostprep.Unknown,
			Have: "numad chooses the guest's nodes when it arrives", Need: "a placement known in advance", Do: "name the nodes in <numatune>"})
	}
	return findings, nil
}

func sizeWords(state pool.State) []string {
	var words []string
	for _, size := range state.Sizes() {
		words = append(words, size.String())
	}
	return words
}

// freeWords says how much memory is free, from which the kernel could allocate pages.
func freeWords(nodes []host.Node, of []int) string {
	var free int64
	for _, n := range nodes {
		if of == nil || len(pages.Intersect([]int{n.ID}, of)) > 0 {
			free += n.Free
		}
	}
	if free == 0 {
		return ""
	}
	return fmt.Sprintf("; %s of memory is free there", pages.FormatMiB(free))
}
