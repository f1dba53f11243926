package slips

import (
	"fmt"

	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/host"
)

// overriddenSlips are about what sets a pool at boot, and sysctl or rc.local then to something else.
func overriddenSlips(h host.Host) ([]Slip, error) {
	all, err := boot.Overridden(h)
	var slips []Slip
	for _, r := range all {
		if r.Pages != r.By.Pages {
			in, does := Script, "runs"
			if r.Sysctl {
				in = Sysctl
			}
			if r.By.Sysctl {
				does = "is read"
			}
			slips = append(slips, Slip{Where: r.Where, Word: r.Text, Right: "one of the two", In: in,
				Why: fmt.Sprintf("is overridden by %s, which %s later and sets %d", r.By.Where, does, r.By.Pages)})
		}
	}
	return slips, err
}
