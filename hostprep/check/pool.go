package check

import (
	"fmt"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/capacity"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// Pool asks whether the pools have the pages that the guest takes when it
// starts, on the nodes where it takes them.
var Pool = Check{"pool", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	if len(g.Demand.Items) == 0 {
		return nil, nil
	}
	nodes, err := h.Nodes()
	if err != nil {
		return nil, err
	}
	if findings, err := capacity.BadNodes(nodes, g.Demand); err != nil || len(findings) > 0 {
		return findings, err
	}
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	mounts, err := h.Mounts()
	if err != nil {
		return nil, err
	}
	g.Kept = KeptFor(h, g)
	own, _ := usedMounts(h, g)
	needs := capacity.Shortfall(state, g)
	can := capacity.CanGrow(nodes, needs, g.Allowance)
	growth, growthErr := capacity.Growth{}, error(nil)
	if len(needs) > 0 && g.HeadroomKiB != hostprep.NotAsked {
		growth, growthErr = capacity.ReadGrowth(h, g.HeadroomKiB, g.Reserve)
		if growthErr == nil {
			can = can && growth.Missing(needs) == nil
		}
	}
	stuck := pool.StuckWrites(h.Root, state.Sizes())
	can = can && !slices.ContainsFunc(needs, func(n pool.Need) bool { return stuck[n.Size] != nil })
	var findings []hostprep.Finding
	for _, l := range capacity.Limits(state, g) {
		f := l.Judge()
		for _, m := range mounts {
			// This many of the reserved pages are kept by min_size= for files on the mount.
			others := m.MinSize / max(1, int64(m.Size))
			if slices.ContainsFunc(own, func(o host.Mount) bool { return host.Within(o.Point, m.Point) }) {
				others -= inFiles(g.Demand, m.Size)
			}
			if f.Severity == hostprep.Blocker && l.Nodes == nil && m.Size == l.Size && others > 0 && l.Least <= l.Could()+min(l.Reserved, others) {
				f.Cause = hostprep.MinSize
				f.Have += fmt.Sprintf(", some perhaps for guests on %s (min_size=%d)", m.Point, m.MinSize)
			}
		}
		switch f.Severity {
		case "":
			continue
		case hostprep.Blocker, hostprep.Warning:
			if g.HeadroomKiB != hostprep.NotAsked && growthErr == nil {
				could := growth.On(l.Size, l.Nodes)
				f.CouldMake = &could
			}
			f.Fixable = can
			if can {
				f.Do = "vmhuge start allocates them"
				if e, there, err := capacity.ReadEmptying(h); err == nil && there && l.Size == pages.Size1GiB {
					if words := e.Words(l.Lacks()); words != "" {
						f.Do += ": " + words
					}
				}
				for _, need := range needs {
					if need.Size == l.Size && slices.Equal(need.Nodes, l.Nodes) {
						f.Changes = append(f.Changes, change.PoolGrowth(h, state, nodes, need)...)
					}
				}
			} else {
				f.Do = "stop a guest or use less memory"
				if program := l.HeldFor(); program != "" {
					f.Do += ", or reserve less for " + program + " (vmhuge prepare --for, vmhuge enable --keep no)"
				}
				f.Do += capacity.ByDemotion(h.Root, state, pool.Need{Nodes: l.Nodes, Size: l.Size, Pages: l.Lacks()}, g.Pending)
				short := capacity.BeyondHeadroom(needs, g.Allowance)
				switch {
				case f.Severity != hostprep.Blocker: // the kernel may find the pages
				case stuck[l.Size] != nil:
					f.Have, f.Do = f.Have+"; "+stuck[l.Size].Error(), stuck[l.Size].Do()
				case f.CouldMake != nil:
					keeps := "the host keeps " + pages.Amount(g.Reserve) + " for itself"
					if g.ByCommit {
						keeps = pool.ByCommit
					}
					f.Have += fmt.Sprintf("; %s (%s)", f.Words(), keeps) + missing(l.Lacks()-f.Compacted)
				case short != nil:
					f.Have += "; " + short.Error()
				default:
					f.Have += missing(l.Lacks())
				}
			}
		}
		findings = append(findings, f)
	}
	if g.Demand.Auto && !capacity.SureOnEachNode(state, g.Demand) {
		findings = append(findings, hostprep.Finding{
			Severity: hostprep.Warning, Verdict: hostprep.Unknown,
			Have: "numad chooses the guest's nodes only when it starts, so whether they have the pages is not known before",
			Need: "a placement known in advance",
			Do:   "name the nodes in <numatune>, or start the guest and see",
		})
	}
	return findings, nil
}}

// missing ends a sentence about pages that cannot be allocated. With n ≤ 0 another limit
// is the problem.
func missing(n int64) string {
	switch {
	case n <= 0:
		return ""
	case n == 1:
		return ": 1 is missing"
	}
	return fmt.Sprintf(": %d are missing", n)
}

// KeptFor returns the pages of each size that min_size= keeps for the guest: of
// the mounts that its files will be on, the part of min_size= that is not in use, but no
// more than the files take, nor than the kernel has reserved: of a mount on which a start
// has failed for want of pages it forgets them (Linux 6.18). None if the mounts can't be
// read; the check of the mounts reports that.
func KeptFor(h host.Host, g hostprep.Guest) map[pages.Size]int64 {
	h = h.EnsureSnapshot()
	// min_size= is rare: first the mounts alone, without which driver's they are.
	kept := KeptByNone(h)
	if kept != nil {
		return kept
	}
	kept = map[pages.Size]int64{}
	mounts, _ := usedMounts(h, g)
	for _, m := range mounts {
		if m.MinSize == 0 {
			continue
		}
		use, err := h.UseOf(m)
		if err != nil {
			continue
		}
		state, _ := h.Pools()
		all, _ := state.Global(m.Size)
		kept[m.Size] = min(inFiles(g.Demand, m.Size), max(0, m.MinSize-use.Bytes)/int64(m.Size), all.Reserved)
	}
	return kept
}

// KeptByNone is KeptFor where no mount has min_size=; nil: one may have.
func KeptByNone(h host.Host) map[pages.Size]int64 {
	mounts, err := h.Mounts()
	if err != nil || slices.ContainsFunc(mounts, func(m host.Mount) bool { return m.MinSize != 0 }) {
		return nil
	}
	return map[pages.Size]int64{}
}

// inFiles returns how many pages of a size the guest takes by files on a mount.
func inFiles(d pages.Demand, size pages.Size) (n int64) {
	for _, item := range d.Items {
		if item.Source != "memfd" && item.PageSize == size {
			n += max(0, item.Pages)
		}
	}
	return n
}
