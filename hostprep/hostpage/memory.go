package hostpage

import (
	"cmp"
	"fmt"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// hostTHPCheck shows the kernel's settings of transparent huge pages, and which of them
// keep such pages from guests that ask for them.
var hostTHPCheck = hostCheck{"THP", func(h host.Host, g anyGuest) ([]Fact, error) {
	thp, err := h.THP()
	if err != nil {
		return nil, err
	}
	if thp.Enabled == "" {
		return []Fact{fine("THP", "none: the kernel has no transparent huge pages")}, nil
	}
	facts := []Fact{fine("THP", fmt.Sprintf("%s, defrag %s, shmem %s", thp.Enabled, cmp.Or(thp.Defrag, "none"), cmp.Or(thp.Shmem, "none")))}
	guest := g.Guest
	guest.Demand = pages.Demand{Backing: pages.THP}
	findings, err := check.THP.Detect(h, guest)
	for i, f := range findings {
		if len(f.Changes) > 0 { // no guest is started here, so nothing makes these changes
			findings[i].Do, findings[i].Fixable = change.Join(f.Changes), false
		}
	}
	return append(facts, of("THP", findings, hostprep.Warning)...), err
}}

// ksmCheck says what the merging of equal pages does.
var ksmCheck = hostCheck{"KSM", func(h host.Host, _ anyGuest) ([]Fact, error) {
	ksm, err := h.KSM()
	if err != nil {
		return nil, err
	}
	var counts []string // pages_sharing is how many small pages are saved
	for _, name := range []string{"pages_sharing", "pages_shared", "pages_unshared", "pages_volatile", "full_scans"} {
		n, err := h.ReadIfThere("/sys/kernel/mm/ksm/" + name)
		if err != nil {
			return nil, err
		}
		if n != "" {
			counts = append(counts, name+" "+strings.TrimSpace(n))
		}
	}
	have := strings.Join(counts, ", ")
	switch {
	case ksm.Run:
		return []Fact{off(hostprep.Note, "KSM", "runs: "+have, "no merging, which splits guests' transparent huge pages (reserved pages are never merged)",
			"add <nosharepages/> to guests on transparent huge pages, or: echo 2 > /sys/kernel/mm/ksm/run")}, nil
	case ksm.Sharing > 0:
		return []Fact{fine("KSM", "stopped: "+have)}, nil
	}
	return []Fact{fine("KSM", "off")}, nil
}}

// swapCheck shows how much is swapped out: pages of the pools never are, but pools that
// are too large push the host's ordinary memory out.
var swapCheck = hostCheck{"swap", func(h host.Host, _ anyGuest) ([]Fact, error) {
	swap, err := h.Swap()
	if err != nil {
		return nil, err
	}
	var facts []Fact
	switch {
	case swap.Total == 0:
		facts = append(facts, fine("swap", "none"))
	case swap.Used*10 > swap.Total:
		facts = append(facts, off(hostprep.Note, "swap", fmt.Sprintf("%s of %s in use", pages.Amount(swap.Used), pages.Amount(swap.Total)),
			"enough ordinary memory outside the pools", "vmhuge status shows whether the pools hold more than guests use"))
	default:
		facts = append(facts, fine("swap", fmt.Sprintf("%s of %s in use", pages.Amount(swap.Used), pages.Amount(swap.Total))))
	}
	zswap, err := h.ReadIfThere("/sys/module/zswap/parameters/enabled")
	if err != nil || zswap == "" {
		return facts, err
	}
	if strings.TrimSpace(zswap) != "Y" {
		return append(facts, fine("zswap", "off")), nil
	}
	most, err := h.Root.ReadInt("sys", "module", "zswap", "parameters", "max_pool_percent")
	if err != nil {
		return facts, err
	}
	return append(facts, fine("zswap", fmt.Sprintf("on: it may take up to %d %% of the memory outside the pools", most))), nil
}}
