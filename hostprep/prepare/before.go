package prepare

import (
	"fmt"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// beforeStep names what reserves pages at boot already: what --persist writes for guests and
// programs comes on top of it, which is one set of pages too many if both are for the same;
// of the pages that a pool is to have at least it adds what is missing.
var beforeStep = Step{"boot", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	if !p.Persist {
		return nil, nil
	}
	old, err := boot.Read(h)
	if err != nil {
		return nil, err
	}
	var ours int64
	sizes := map[pages.Size]bool{}
	others, err := boot.OthersAtBoot(h)
	if err != nil {
		return nil, err
	}
	for _, row := range p.onTable(old).Sums(others) {
		ours += row.Pages * int64(row.Size)
		sizes[row.Size] = true
	}
	if ours == 0 && len(p.Pages) == 0 {
		return nil, nil
	}
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	all, err := boot.Reservations(h)
	var findings []hostprep.Finding
	for _, r := range all {
		f := hostprep.Finding{Severity: hostprep.Note, Have: fmt.Sprintf("%s reserves pages at boot already: %s", r.Where, r.Text),
			Need: "one place that reserves them, if these are for the same guests", Do: "take that out of " + r.Where + ", then run vmhuge prepare --persist again"}
		amount := r.Text
		if r.Pages >= 0 {
			amount = pages.Count(r.Pages, r.Size)
		}
		// What sysctl takes away, vmhuge's unit adds again.
		// Pages of another size than the pool's are not for the same guests.
		if len(p.guests()) == 0 && p.For == "" && !slices.ContainsFunc(p.Pages, func(n pool.Need) bool { return n.Size == r.Size }) && !sizes[r.Size] {
			continue
		}
		added := r.Sysctl && h.BootedWithSystemd()
		switch {
		case r.Pages*int64(r.Size) > mem.Total-pool.Reserve(mem.Total):
			f.Severity, f.Need, f.Do = hostprep.Warning, "less, so that the next boot has memory for everything else", "lower it in "+r.Where+", then run this again"
			f.Have = fmt.Sprintf("%s asks for %s at boot, which is %s, and the host has %s", r.Where, amount, pages.Amount(r.Pages*int64(r.Size)), pages.Amount(mem.Total))
		case r.Later && sizes[r.Size] && !added:
			f.Severity, f.Need = hostprep.Warning, "one place that sets the pool at boot"
			f.Have = fmt.Sprintf("%s sets the pool when the %s of vmhuge prepare --persist are there, and replaces them: %s", r.Where, pages.Amount(ours), amount)
		case r.Pages > 0 && p.For == "" && len(p.guests()) == 0 && len(p.Pages) > 0 && p.Pages[0].Size == r.Size:
			f.Have = fmt.Sprintf("%s reserves %s at boot already, which count towards the %d of the pool: vmhuge prepare --persist adds %s", r.Where, pages.Count(r.Pages, r.Size),
				p.Pages[0].Pages, amountOrNone(ours))
			f.Need, f.Do = "", ""
		case r.Pages >= 0:
			f.Have = fmt.Sprintf("%s reserves %s at boot already, and with the %s of vmhuge prepare --persist that makes %s", r.Where, pages.Count(r.Pages, r.Size),
				pages.Amount(ours), pages.Amount(ours+r.Pages*int64(r.Size)))
		}
		if r.Pages != 0 || f.Severity == hostprep.Warning {
			findings = append(findings, f)
		}
	}
	return findings, err
}}

func amountOrNone(bytes int64) string {
	if bytes == 0 {
		return "none"
	}
	return pages.Amount(bytes)
}

// reservedByOthers is how many bytes the host reserves at boot without vmhuge, as far
// as that is a number, and the places that say so.
func reservedByOthers(h host.Host) (bytes int64, places []string, err error) {
	all, err := boot.Reservations(h)
	for _, r := range all {
		if r.Pages > 0 {
			bytes += r.Pages * int64(r.Size)
			if !slices.Contains(places, r.Where) {
				places = append(places, r.Where)
			}
		}
	}
	return bytes, places, err
}
