package hostpage

import (
	"fmt"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
	"vmhuge/internal/sysctl"
)

// newDefault shows that the default size changes with the next boot, and what that makes of
// settings that count pages of it.
func newDefault(h host.Host) ([]Fact, error) {
	const name = "next boot"
	next, err := boot.NextDefault(h)
	if err != nil || next == nil {
		return nil, err
	}
	reboot := "reboot"
	if next.First != "" {
		reboot = next.First + ", then reboot"
	}
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	counts, err := boot.DefaultCounts(h)
	var facts []Fact
	for _, s := range counts {
		n, err := sysctl.Number(s.Value)
		if err != nil {
			continue
		}
		severity, all := hostprep.Warning, n*int64(next.Size)
		if all <= mem.Total-pool.Reserve(mem.Total) { // it may be meant so
			severity = hostprep.Note
		}
		do := fmt.Sprintf("take it out of %s; vmhuge prepare --persist --pages %d --size %s asks for pages by their size", s.Where, n, pages.SizeWord(mem.HugePageSize))
		switch {
		case s.Where == boot.SysctlFile:
			do = "vmhuge prepare --persist, which writes it anew"
		case !s.Sets("vm.nr_hugepages"):
			do = "take it out of " + s.Where + ", or give a number of pages of " + next.Size.String()
		}
		facts = append(facts, off(severity, name, fmt.Sprintf("%s; %s = %s in %s then means pages of %s, %s in all: the host has %s",
			next.Words(), s.Name, s.Value, s.Where, next.Size, pages.Amount(all), pages.Amount(mem.Total)),
			"no setting that counts pages of the default size", do))
	}
	if err != nil {
		return facts, err
	}
	resized, err := resizedMounts(h, *next, mem.HugePageSize)
	if facts = append(facts, resized...); facts == nil {
		facts = append(facts, off(hostprep.Note, name, next.Words(), "the size beside each count from then on: vm.nr_hugepages, and hugepages= and mounts without a size, are for the default", reboot))
	}
	return facts, err
}

// resizedMounts shows the mounts that get the new default size because they name none. standard is
// the present one.
func resizedMounts(h host.Host, next boot.NewDefault, standard pages.Size) ([]Fact, error) {
	mounts, err := h.Mounts()
	if err != nil {
		return nil, err
	}
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	var facts []Fact
	stays := false // a mount of the present size
	for _, m := range mounts {
		by, options, err := boot.MountWithoutSize(h, m.Point)
		if err != nil {
			return facts, err
		}
		if by == "" || m.Size != standard || m.Hidden != "" {
			stays = stays || m.Size == standard && m.Hidden == ""
			continue
		}
		do := fmt.Sprintf("systemctl edit %s, with Options=%s below [Mount]", by, boot.WithSize(options, standard))
		if strings.HasPrefix(by, "/") {
			do = "add it to the options there"
		}
		facts = append(facts, off(hostprep.Warning, "next boot", fmt.Sprintf("%s; %s, which is mounted without pagesize=, then has pages of %s, and none of %s", next.Words(), m.Point, next.Size, standard),
			fmt.Sprintf("pagesize=%s in %s, if guests have files of such pages there", pages.SizeWord(standard), by), "vmhuge prepare --persist DOMAIN, for a guest on pages of "+standard.String()+"; or "+do))
	}
	if g, _ := state.Global(standard); stays || g.Total == 0 { // it may be meant so
		for i := range facts {
			facts[i].Severity = hostprep.Note
		}
	}
	return facts, nil
}

// nextBootCheck shows what the kernel's command line will ask for from the next boot on, and
// whether that leaves the host enough memory.
var nextBootCheck = hostCheck{"next boot", func(h host.Host, _ anyGuest) ([]Fact, error) {
	const name = "next boot"
	facts, err := newDefault(h)
	if err != nil {
		return nil, err
	}
	coming, err := boot.NextBoot(h)
	if err != nil || coming == nil {
		return facts, err
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
	for _, c := range coming {
		have := fmt.Sprintf("%s asks for %s, and this boot's command line for %d", c.Where, pages.Count(c.Pages, c.Size), c.Now)
		amount := pages.Amount((c.Pages - c.Now) * int64(c.Size))
		left := fmt.Sprintf("%s more in the pool, which leaves %s of %s for everything else", amount, pages.Amount(max(0, rest)), pages.Amount(mem.Total))
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
