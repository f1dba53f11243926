package hostprep

import (
	"fmt"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// Elsewhere asks of a host that is known by its nodes and pools alone, as another
// libvirt shows them, whether a guest would find its pages there: by the rules for
// this host. What is not to be seen from here is for the caller to say.
func Elsewhere(nodes []Node, state pool.State, d pages.Demand) ([]Finding, error) {
	findings, err := badNodes(nodes, d)
	if err != nil || len(findings) > 0 {
		return findings, err
	}
	for _, total := range d.Totals() {
		if _, ok := state.Global(total.PageSize); !ok && total.PageSize != 0 {
			findings = append(findings, Finding{Severity: Blocker, Verdict: BadHost, Cause: PageSizeMissing,
				Have: "the kernel has pages of " + orNone(sizeWords(state)), Need: "pages of " + total.PageSize.String(),
				Do: "vmhuge enable --size with one of these, and start it anew"})
		}
	}
	for _, l := range limits(state, NewGuest(d, pages.Traits{}, NoStarter(), UnknownIDs(), Unasked())) {
		f := l.judge()
		if f.Severity == "" {
			continue
		}
		if f.Severity == Blocker {
			f.Have += freeWords(nodes, l.nodes)
			f.Do = "make them there before, or let vmhuge's hook do it (vmhuge hook install)"
		}
		findings = append(findings, f)
	}
	if d.Auto {
		findings = append(findings, Finding{Severity: Warning, Verdict: Unknown,
			Have: "numad chooses the guest's nodes when it comes", Need: "a placement that is known before", Do: "name the nodes in <numatune>"})
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

// freeWords says how much memory is free of which pages could be made.
func freeWords(nodes []Node, of []int) string {
	var free int64
	for _, n := range nodes {
		if of == nil || len(intersect([]int{n.ID}, of)) > 0 {
			free += n.Free
		}
	}
	if free == 0 {
		return ""
	}
	return fmt.Sprintf("; %s of memory are free there", mib(free))
}
