package hostpage

import (
	"fmt"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// nextBootCheck shows what the kernel's command line will ask for from the next boot on, and
// whether that leaves the host enough memory.
var nextBootCheck = hostCheck{"next boot", func(h host.Host, _ anyGuest) ([]Fact, error) {
	const name = "next boot"
	coming, err := boot.NextBoot(h)
	if err != nil || coming == nil {
		return nil, err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	all, err := boot.Reservations(h)
	if err != nil {
		return nil, err
	}
	var bytes int64 // that the next boot reserves
	for _, r := range all {
		bytes += max(0, r.Pages) * int64(r.Size)
	}
	rest := mem.Total - bytes
	var facts []Fact
	for _, c := range coming {
		have := fmt.Sprintf("%s asks for %s, and this boot's command line for %d", c.Where, pages.Count(c.Pages, c.Size), c.Now)
		amount := pages.Amount((c.Pages - c.Now) * int64(c.Size))
		left := fmt.Sprintf("a reboot: the pool then has %s more, which leaves %s of %s for everything else", amount, pages.Amount(max(0, rest)), pages.Amount(mem.Total))
		switch {
		case rest < pool.Reserve(mem.Total):
			facts = append(facts, off(hostprep.Warning, name, fmt.Sprintf("%s; with all that is reserved at boot that leaves %s of %s", have, pages.Amount(max(0, rest)), pages.Amount(mem.Total)),
				"less, so that the next boot has memory for everything else", "lower it in "+c.From))
		case c.First != "":
			facts = append(facts, off(hostprep.Warning, name, have+"; the next boot will not have it yet", left, c.First+", then reboot"))
		default:
			facts = append(facts, off(hostprep.Note, name, have, left, "reboot; until then vmhuge start and prepare count without these pages"))
		}
	}
	return facts, nil
}}
