package capacity

import (
	"fmt"
	"time"

	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// How many bytes of other memory the kernel moves in a second. On one processor it moves up
// to 2 GiB; 256 MiB is what an emulated one did.
const (
	movesFast = 2 * pages.GiB
	movesSlow = pages.GiB / 4
)

// Emptying is what the areas for pages of 1 GiB on demand hold besides such pages.
type Emptying struct {
	free, other int64 // bytes
}

// ReadEmptying looks at the areas; false: there is none.
func ReadEmptying(h host.Host) (Emptying, bool, error) {
	areas, err := h.Areas()
	if err != nil || areas == nil {
		return Emptying{}, false, err
	}
	state, err := h.Pools()
	gigantic, _ := state.Global(pages.Size1GiB)
	e := Emptying{free: areas.FreeKiB * pages.KiB}
	e.other = max(0, areas.TotalKiB*pages.KiB-e.free-gigantic.Total*pages.GiB)
	return e, true, err
}

// For is how many bytes of other memory have to be moved for so many pages, at least and at
// most: how much lies in the way, only the kernel knows.
func (e Emptying) For(n int64) (least, most int64) {
	return min(max(0, n*pages.GiB-e.free), e.other), min(n*pages.GiB, e.other)
}

// Longest is how long it takes at most to get so many pages of 1 GiB.
func Longest(n int64) time.Duration {
	return time.Duration(n) * time.Second * time.Duration(pages.GiB/movesSlow)
}

// Words says what is moved for so many pages, and how long it takes; "": nothing is.
func (e Emptying) Words(n int64) string {
	least, most := e.For(n)
	if most == 0 {
		return ""
	}
	amount := "up to " + pages.Amount(most)
	if least == most {
		amount = pages.Amount(most)
	} else if least > 0 {
		amount = pages.Amount(least) + " to " + pages.Amount(most)
	}
	shortest, longest := (least+movesFast-1)/movesFast, max(1, (most+movesSlow-1)/movesSlow)
	took := fmt.Sprintf("up to %d s", longest)
	if shortest > 0 {
		took = fmt.Sprintf("%d to %d s", shortest, longest)
	}
	return fmt.Sprintf("the kernel moves %s of other memory out of its area, in %s", amount, took)
}
