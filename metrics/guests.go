package metrics

import (
	"strconv"

	"vmhuge/hostprep/proof"
	"vmhuge/internal/pages"
)

// Guest is a domain of libvirt.
type Guest struct {
	Name, UUID string
	Running    bool
	Backing    pages.Backing // that its XML asks for
	Demand     []pages.Total // what its next start takes
	Proof      *proof.Proof
}

var (
	guestInfo    = newDesc("guest_info", "1; backing is what the guest's XML asks for: hugetlb, thp or none.", "guest", "uuid", "backing")
	guestRunning = newDesc("guest_running", "1 if the guest is running.", "guest")
	guestDemand  = newDesc("guest_demand_pages", "Pages that the guest's next start needs.", "guest", "page_size_bytes")
	guestRAM     = newDesc("guest_ram_bytes",
		"RAM of a running guest by what backs it: hugetlb, hugetlb-reserved (promised, not used yet), thp, small, untouched (no page yet); the sum is its RAM.",
		"guest", "backing", "page_size_bytes")
	guestRatio = newDesc("guest_huge_pages_ratio", "Share of a running guest's RAM that is on huge pages, from 0 to 1.", "guest")
)

func showGuests(o out, guests []Guest, _ error) {
	for _, g := range guests {
		o.gauge(guestInfo, 1, g.Name, g.UUID, string(g.Backing))
		o.gauge(guestRunning, truth(g.Running), g.Name)
		for _, t := range g.Demand {
			if t.Pages >= 0 {
				o.gauge(guestDemand, float64(t.Pages), g.Name, sizeLabel(t.PageSize))
			}
		}
		if g.Proof != nil {
			showRAM(o, g.Name, *g.Proof)
		}
	}
}

func showRAM(o out, guest string, p proof.Proof) {
	for size, kib := range p.HugetlbKiB {
		n, _ := strconv.ParseInt(size, 10, 64)
		o.gauge(guestRAM, float64(kib*pages.KiB), guest, string(pages.Hugetlb), sizeLabel(pages.SizeOfKiB(n)))
	}
	for backing, kib := range map[string]int64{
		"hugetlb-reserved": p.ReservedKiB, "thp": p.THPKiB, "small": p.SmallKiB - p.UntouchedKiB, "untouched": p.UntouchedKiB,
	} {
		o.gauge(guestRAM, float64(kib*pages.KiB), guest, backing, "")
	}
	if p.RAMKiB > 0 {
		o.gauge(guestRatio, float64(p.RAMKiB-p.SmallKiB)/float64(p.RAMKiB), guest)
	}
}
