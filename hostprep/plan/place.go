package plan

import (
	"slices"

	"vmhuge/hostprep"
	"vmhuge/internal/pages"
)

// Fit is how a host is chosen of those on which a guest fits.
type Fit string

// The ways to choose.
const (
	First Fit = "first" // in the order given
	Best  Fit = "best"  // that has the least left for guests of this kind then
)

// Site is one of several hosts on which guests may start.
type Site struct {
	Name string
	Host Host
	// Grows says that what starts a guest there gets the pages that it lacks, as vmhuge's
	// hook does. Otherwise a guest has only pages that are free.
	Grows   bool
	Running []string // the UUIDs of guests that run there
	// Bars says what but memory keeps a guest from starting there; "": nothing that is
	// known. It is asked about guests that fit. nil: nothing is known.
	Bars func(hostprep.Candidate) string
}

// Placement says which guest fits on which of several hosts.
type Placement struct {
	Fits   bool     `json:"fits"`
	Fit    Fit      `json:"fit"`
	Guests []Placed `json:"guests"`
}

// Placed is a guest and its host.
type Placed struct {
	Name   string        `json:"name"`
	UUID   string        `json:"uuid"`
	Host   string        `json:"host"` // "": it fits on none
	Runs   bool          `json:"runs"` // there, now
	Totals []pages.Total `json:"totals"`
	Takes  []Taken       `json:"takes"`
	// Refused is why it fits nowhere else: on the hosts before its own, or with Best on all.
	Refused []Refusal `json:"refused"`
}

// Taken is the pages that a guest takes from one pool.
type Taken struct {
	Node  int        `json:"node"`
	Size  pages.Size `json:"page_size_kib"`
	Pages int64      `json:"pages"`
	Added int64      `json:"added"` // to the pool, for this guest
}

// Refusal is a reason with the hosts that have it.
type Refusal struct {
	Why   string   `json:"why"`
	Hosts []string `json:"hosts"`
}

// Place has guests start in the order given, each on one of several hosts, on paper.
func Place(sites []Site, guests []hostprep.Candidate, fit Fit) Placement {
	placement := Placement{Fits: true, Fit: fit}
	paper := make([]rehearsal, len(sites))
	for i, site := range sites {
		paper[i] = site.Host.rehearsal()
		paper[i].fixed = !site.Grows
	}
	for _, c := range guests {
		placed := Placed{Name: c.Name, UUID: c.UUID, Totals: c.Demand.Totals()}
		if at := slices.IndexFunc(sites, func(s Site) bool { return c.UUID != "" && slices.Contains(s.Running, c.UUID) }); at >= 0 {
			placed.Host, placed.Runs = sites[at].Name, true
			placement.Guests = append(placement.Guests, placed)
			continue
		}
		c.Runs = false // elsewhere: there it would start
		at, least := -1, int64(0)
		var after rehearsal
		for i, site := range sites {
			r := paper[i].clone()
			why := r.start(c, false)
			if why == "" && site.Bars != nil {
				why = site.Bars(c)
			}
			if why != "" {
				placed.refuse(site.Name, why)
				continue
			}
			if left := r.leftFor(c); at < 0 || left < least {
				at, least, after = i, left, r
			}
			if fit == First {
				break
			}
		}
		if at >= 0 {
			placed.Host, placed.Takes = sites[at].Name, taken(paper[at], after)
			paper[at] = after
		} else {
			placement.Fits = false
		}
		placement.Guests = append(placement.Guests, placed)
	}
	return placement
}

func (p *Placed) refuse(host, why string) {
	i := slices.IndexFunc(p.Refused, func(r Refusal) bool { return r.Why == why })
	if i < 0 {
		i = len(p.Refused)
		p.Refused = append(p.Refused, Refusal{Why: why})
	}
	p.Refused[i].Hosts = append(p.Refused[i].Hosts, host)
}

// leftFor is how many bytes are left for guests of a kind: of its page sizes, or of
// ordinary memory.
func (r *rehearsal) leftFor(c hostprep.Candidate) (left int64) {
	if len(c.Demand.Items) == 0 {
		return r.ordinary()
	}
	for _, total := range c.Demand.Totals() {
		if g, ok := r.state.Global(total.PageSize); ok {
			left += (g.Free - g.Reserved) * int64(g.Size)
		}
	}
	if !r.fixed {
		left += r.headroom()
	}
	return left
}

// taken is what a start took of each pool.
func taken(before, after rehearsal) (takes []Taken) {
	for _, now := range after.state.Pools {
		was, _ := before.state.Pool(now.Node, now.Size)
		t := Taken{Node: now.Node, Size: now.Size, Pages: (now.Total - now.Free) - (was.Total - was.Free), Added: now.Total - was.Total}
		if t.Pages != 0 || t.Added != 0 {
			takes = append(takes, t)
		}
	}
	return takes
}
