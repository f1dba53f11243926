package launcher

import (
	"fmt"

	"vmhuge/hostprep"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
	"vmhuge/xml"
)

// growth is a note of how far a guest that runs can still grow, and what the pool has for that;
// nil for one that can't.
func (l *Launcher) growth(d *domain) *hostprep.Finding {
	live, err := d.GetXMLDesc(0)
	if err != nil {
		return nil
	}
	m, err := xml.ReadMemory([]byte(live))
	if err != nil || m.MaxKiB <= m.TotalKiB {
		return nil
	}
	demand, err := l.demand([]byte(live))
	if err != nil || len(demand.Items) == 0 {
		return nil
	}
	state, err := l.host.Pools()
	if err != nil {
		return nil
	}
	pending, err := l.host.Pending("")
	if err != nil {
		return nil
	}
	var reserved int64
	for _, p := range pending {
		if p.Growth && p.For == d.name && p.Size == demand.Items[0].PageSize {
			reserved += p.Unmapped
		}
	}
	own := ""
	if reserved > 0 {
		own = pages.Count(reserved, demand.Items[0].PageSize) + plural(reserved) + " reserved for that, and "
	}
	size := demand.Items[0].PageSize
	free := max(0, state.Spare(size, pending))
	return &hostprep.Finding{Check: "growth", Severity: hostprep.Note,
		Have: fmt.Sprintf("it can grow by up to %s; %s%s free for that, %s in all", pages.FormatKiB(m.MaxKiB-m.TotalKiB), own, pages.Count(free, size)+plural(free), pages.FormatKiB(free*size.KiB())),
		Do:   "vmhuge memory " + shell.Operand(d.name) + " +SIZE allocates what is missing"}
}

// plural is the verb for so many.
func plural(n int64) string {
	if n == 1 {
		return " is"
	}
	return " are"
}
