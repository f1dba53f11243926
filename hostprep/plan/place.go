package plan

import (
	"fmt"
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
	Hosts  []Filled `json:"hosts"` // in the order given
}

// Filled is a host once its guests have started.
type Filled struct {
	Name   string   `json:"name"`
	Grows  bool     `json:"grows"`  // its hook gets the pages that a start lacks
	Guests []string `json:"guests"` // that are placed there
	Nodes  []Node   `json:"nodes"`
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
	papers := make([]paper, len(sites))
	for i, site := range sites {
		papers[i] = newPaper(site)
	}
	for _, c := range guests {
		placed := Placed{Name: c.Name, UUID: c.UUID, Totals: c.Demand.Totals()}
		if at := slices.IndexFunc(sites, func(s Site) bool { return c.UUID != "" && slices.Contains(s.Running, c.UUID) }); at >= 0 {
			placed.Host, placed.Runs = sites[at].Name, true
			placement.Guests = append(placement.Guests, placed)
			continue
		}
		c.Runs = false // elsewhere: there it would start
		like, at, least := likeness(c), -1, int64(0)
		reasons := map[string]int{} // where each is in placed.Refused
		for i, site := range sites {
			try := papers[i].try(c, like)
			if try.why == "" && site.Bars != nil {
				try.why = site.Bars(c)
			}
			if try.why != "" {
				placed.refuse(reasons, site.Name, try.why)
				continue
			}
			if at < 0 || try.left < least {
				at, least = i, try.left
			}
			if fit == First {
				break
			}
		}
		if at >= 0 {
			placed.Host, placed.Takes = sites[at].Name, papers[at].start(c)
		} else {
			placement.Fits = false
		}
		placement.Guests = append(placement.Guests, placed)
	}
	placement.Hosts = filled(sites, papers, placement.Guests)
	return placement
}

// paper is a host with the guests that are placed there so far.
type paper struct {
	rehearsal
	tries map[string]try // of guests that are alike, since the last was placed there
}

// try is a start that is not made: why it fails, or what it leaves for guests of its kind.
type try struct {
	why  string
	left int64
}

func newPaper(site Site) paper {
	p := paper{rehearsal: site.Host.rehearsal(), tries: map[string]try{}}
	p.fixed = !site.Grows
	return p
}

// likeness is the same for guests that start on the same hosts.
func likeness(c hostprep.Candidate) string {
	c.Demand.Domain, c.Demand.UUID = "", ""
	return fmt.Sprintf("%+v %+v", c.Demand, c.Traits)
}

func (p *paper) try(c hostprep.Candidate, like string) try {
	t, known := p.tries[like]
	if !known {
		r := p.clone()
		if t.why = r.start(c, false); t.why == "" {
			t.left = r.leftFor(c)
		}
		p.tries[like] = t
	}
	return t
}

// start has a guest start there, and returns what it takes.
func (p *paper) start(c hostprep.Candidate) []Taken {
	before := p.clone()
	p.rehearsal.start(c, false)
	clear(p.tries)
	return taken(before, p.rehearsal)
}

func filled(sites []Site, papers []paper, guests []Placed) (hosts []Filled) {
	names := map[string][]string{}
	for _, g := range guests {
		if !g.Runs {
			names[g.Host] = append(names[g.Host], g.Name)
		}
	}
	for i, site := range sites {
		hosts = append(hosts, Filled{site.Name, site.Grows, names[site.Name], planNodes(site.Host.rehearsal(), papers[i].rehearsal)})
	}
	return hosts
}

func (p *Placed) refuse(reasons map[string]int, host, why string) {
	i, known := reasons[why]
	if !known {
		i = len(p.Refused)
		reasons[why] = i
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
