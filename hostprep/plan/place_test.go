package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// sites are the hosts of these fixtures, which do not grow their pools.
func sites(t *testing.T, names ...string) (sites []Site) {
	t.Helper()
	for i, name := range names {
		h, err := ReadHost(host.Host{Root: hosttest.Unpack(t, name, "")}, 0)
		hosttest.Must(t, err)
		sites = append(sites, Site{Name: fmt.Sprint("h", i), Host: h})
	}
	return sites
}

// withFree is a host that has so many free pages of 2 MiB, and no memory for more.
func withFree(name string, n int64) Site {
	s := Site{Name: name, Host: Host{TotalKiB: 16 << 20, ReserveKiB: 2 << 20, SmallPage: 4096, Nodes: []HostNode{{TotalKiB: 16 << 20}}}}
	s.Host.Sums = []HostPool{{Size: pages.Size2MiB, Total: n, Free: n}}
	s.Host.Pools = []pool.Pool{{Size: pages.Size2MiB, Total: n, Free: n}}
	return s
}

func hostsOf(p Placement) (hosts []string) {
	for _, g := range p.Guests {
		hosts = append(hosts, g.Host)
	}
	return hosts
}

func TestFits(t *testing.T) {
	all := []Site{withFree("large", 100), withFree("small", 40), withFree("mid", 60)}
	guests := []hostprep.Candidate{onPages("a", 30, pages.Size2MiB, -1), onPages("b", 60, pages.Size2MiB, -1), onPages("c", 70, pages.Size2MiB, -1), onPages("d", 200, pages.Size2MiB, -1)}
	for fit, want := range map[Fit][]string{First: {"large", "large", "", ""}, Best: {"small", "mid", "large", ""}} {
		p := Place(all, guests, fit)
		if got := hostsOf(p); !slices.Equal(got, want) || p.Fits {
			t.Errorf("%s: %v, not %v", fit, got, want)
		}
	}
	p := Place(all, guests, Best)
	if d := p.Guests[3]; len(d.Refused) != 3 || d.Refused[1].Why != "10 of 40 pages of 2 MiB are free; needed: 200 pages of 2 MiB" {
		t.Errorf("%+v", d.Refused)
	}
	if diff := cmp.Diff([]Taken{{Node: 0, Size: pages.Size2MiB, Pages: 60}}, p.Guests[1].Takes); diff != "" {
		t.Error(diff)
	}
}

// A guest that runs on one of them stays there; one that something but memory bars goes
// elsewhere, and hosts with the same reason are named together.
func TestPlaceElsewhere(t *testing.T) {
	all := []Site{withFree("a", 100), withFree("b", 100), withFree("c", 100)}
	bars := func(c hostprep.Candidate) string { return "no mount for " + c.Name }
	all[0].Bars, all[1].Bars = bars, bars
	all[1].Running = []string{"there"}
	runs, moves := onPages("runs", 30, pages.Size2MiB, -1), onPages("moves", 30, pages.Size2MiB, -1)
	runs.UUID, runs.Runs, moves.Runs = "there", true, true
	p := Place(all, []hostprep.Candidate{runs, moves}, First)
	if !p.Fits || !p.Guests[0].Runs || p.Guests[0].Host != "b" || p.Guests[1].Runs || p.Guests[1].Host != "c" {
		t.Errorf("%+v", p.Guests)
	}
	if diff := cmp.Diff([]Refusal{{"no mount for moves", []string{"a", "b"}}}, p.Guests[1].Refused); diff != "" {
		t.Error(diff)
	}
}

// Each guest that is placed starts on its host in that order by the rules of a plan for one
// host, and one that is refused starts on none of them.
func TestPlaceProperty(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	all := sites(t, "one-node", "two-nodes", "node0-full")
	for n := range 200 {
		var guests []hostprep.Candidate
		for i := range 1 + random.IntN(20) {
			c := onPages(fmt.Sprint("g", i), 1+random.Int64N(3000), pages.Size2MiB, random.IntN(3)-1)
			if random.IntN(5) == 0 {
				c = onMemory(c.Name, 1+random.Int64N(6000))
			}
			guests = append(guests, c)
		}
		for i := range all {
			all[i].Grows = random.IntN(2) == 0
		}
		fit := []Fit{First, Best}[n%2]
		p := Place(all, guests, fit)
		paper := map[string]*rehearsal{}
		for _, s := range all {
			r := s.Host.rehearsal()
			r.fixed = !s.Grows
			paper[s.Name] = &r
		}
		for i, g := range p.Guests {
			refused := 0
			for _, r := range g.Refused {
				refused += len(r.Hosts)
				for _, name := range r.Hosts {
					if there := paper[name].clone(); there.start(guests[i], false) == "" {
						t.Errorf("seed %d, set %d: %s is refused on %s and would start", seed, n, g.Name, name)
					}
				}
			}
			if g.Host == "" {
				if refused != len(all) {
					t.Errorf("seed %d, set %d: %s is nowhere, with %d reasons", seed, n, g.Name, refused)
				}
				continue
			}
			before := paper[g.Host].clone()
			if why := paper[g.Host].start(guests[i], false); why != "" {
				t.Errorf("seed %d, set %d: %s is placed on %s in vain: %s", seed, n, g.Name, g.Host, why)
			}
			var took int64
			for _, taken := range g.Takes {
				took += taken.Pages
			}
			if want := total(guests[i].Demand); took != want {
				t.Errorf("seed %d, set %d: %s takes %d pages of %d (%+v)", seed, n, g.Name, took, want, before.state)
			}
		}
	}
}
