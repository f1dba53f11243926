package hostpage

import (
	"fmt"

	"vmhuge/hostprep"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
)

// thpStallCheck warns of programs that stall while the kernel compacts memory for them:
// with defrag=always, a page fault for a transparent huge page waits for compaction if no
// free block is large enough, and hardly any block is free here.
var thpStallCheck = hostCheck{"THP", func(h host.Host, _ anyGuest) ([]Fact, error) {
	thp, err := h.THP()
	if err != nil || thp.Enabled != "always" && thp.Enabled != "madvise" || thp.Defrag != "always" {
		return nil, err
	}
	free, size, err := h.FreeTHPs(nil)
	if err != nil {
		return nil, err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	if free*int64(size)*100 >= mem.Total { // 1 % of RAM is enough for some time
		return nil, nil
	}
	who := "programs that ask for them, such as QEMU, stall"
	if thp.Enabled == "always" {
		who = "every program stalls"
	}
	set := check.SetTHP(h, "defrag", thp.Defrag, "defer+madvise")
	return []Fact{off(hostprep.Warning, "THP",
		fmt.Sprintf("defrag is always, and %d blocks of %s are free in one piece: %s while the kernel compacts memory", free, size, who),
		"compaction in the background: defer+madvise", set.String()+"; echo 1 > /proc/sys/vm/compact_memory makes room now")}, nil
}}
