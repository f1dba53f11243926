// Package advise weighs which pages suit a guest.
package advise

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"vmhuge/hostprep"
	"vmhuge/hostprep/capacity"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// Choice is what a guest's RAM may be on.
type Choice string

// The choices, those first that win where the rules weigh the same: the one
// that takes the least from the host.
const (
	ChooseTHP  Choice = "thp"
	Choose1GiB Choice = "reserved-1g"
	ChooseNone Choice = "none"
)

// chooseUsual stands in the rules for Reserved of the usual size.
const chooseUsual = Choice("")

// Reserved is the choice of reserved pages of a size: reserved-2m.
func Reserved(size pages.Size) Choice {
	return Choice("reserved-" + strings.ToLower(pages.SizeWord(size)))
}

// Choices lists every choice where that is the usual size of reserved pages.
func Choices(usual pages.Size) []Choice {
	return []Choice{ChooseTHP, Reserved(usual), Choose1GiB, ChooseNone}
}

// Advice is which pages suit a guest on this host, and why.
type Advice struct {
	Name    string         `json:"name"`
	UUID    string         `json:"uuid"`
	Choice  Choice         `json:"choice"`
	Sums    map[Choice]int `json:"sums"`
	Out     []Choice       `json:"ruled_out"`
	Reasons []Reason       `json:"reasons"`
	Usual   pages.Size     `json:"-"` // of reserved pages other than those of 1 GiB
}

// Reason is a rule that applies, with the numbers that make it.
type Reason struct {
	Rule    string         `json:"rule"`
	Says    string         `json:"says"`
	Weights map[Choice]int `json:"weights"` // for a choice, or against
	Out     []Choice       `json:"rules_out"`
}

// view is what the rules look at: a guest, and the host that it may come to.
type view struct {
	hostprep.Candidate
	mem      host.Meminfo
	cpu      host.CPU
	state    pool.State
	headroom int64 // bytes that the pools may grow
	thp      host.THP
	thpFile  string // that decides whether they are on, below transparent_hugepage
	ksm      host.KSM
	small    pages.Size // of the host's pages
	page     pages.Size // of reserved pages other than those of 1 GiB: what enable gives the guest here
	thpPage  pages.Size // of transparent huge pages; 0: the kernel does not say
	swap     host.Swap
	zones    []host.Zone
	uptime   time.Duration
	pending  []pool.Pending // that other guests and programs are yet to take
	areas    *host.CMA      // for pages of 1 GiB on demand; nil: there are none
	onDemand int64          // pages of 1 GiB that these can give now
	freed    pages.Size     // of the small pages whose page structs the kernel frees with a huge page; 0: it frees none
	structs  bool           // the kernel keeps page structs of huge pages that it could free
	counted  bool           // memory limits count reserved pages
	commit   host.Commit
	limits   []libvirtd.PageLimit // on what guests of the system driver have beside the pools
}

// Weigh says which pages suit a guest. What the host can't tell is an error.
func Weigh(h host.Host, c hostprep.Candidate) (Advice, error) {
	v, err := newView(h, c)
	if err != nil {
		return Advice{}, err
	}
	a := Advice{Name: c.Name, UUID: c.UUID, Sums: map[Choice]int{}, Usual: v.page}
	choices := Choices(v.page)
	for _, r := range rules {
		says := r.says(v)
		if says == "" {
			continue
		}
		reason := Reason{Rule: r.name, Says: says, Weights: map[Choice]int{}, Out: slices.Clone(r.out)}
		if i := slices.Index(r.out, chooseUsual); i >= 0 {
			reason.Out[i] = Reserved(v.page)
		}
		for i, choice := range choices {
			if r.weights[i] != 0 {
				reason.Weights[choice] = r.weights[i]
			}
			a.Sums[choice] += r.weights[i]
		}
		a.Reasons = append(a.Reasons, reason)
		for _, choice := range reason.Out {
			if !slices.Contains(a.Out, choice) {
				a.Out = append(a.Out, choice)
			}
		}
	}
	left := slices.DeleteFunc(choices, func(c Choice) bool { return slices.Contains(a.Out, c) })
	a.Choice = slices.MaxFunc(left, func(x, y Choice) int { return cmp.Compare(a.Sums[x], a.Sums[y]) })
	return a, nil
}

func newView(h host.Host, c hostprep.Candidate) (view, error) {
	v := view{Candidate: c}
	var err error
	for _, read := range []func() error{
		func() error { v.mem, err = h.Meminfo(); return err },
		func() error { v.cpu, err = h.CPU(); return err },
		func() error { v.state, err = pool.Read(h.Root); return err },
		func() error { v.thp, err = h.THP(); return err },
		func() error { v.ksm, err = h.KSM(); return err },
		func() error { v.swap, err = h.Swap(); return err },
		func() error { v.zones, err = h.Buddyinfo(); return err },
		func() error { v.small, err = h.SmallPage(); return err },
		func() error { v.uptime, err = h.Uptime(); return err },
		func() error { v.areas, err = h.Areas(); return err },
		func() error { v.freed, err = h.StructsFreed(); return err },
		func() error { v.counted, err = h.CountsHugetlb(); return err },
		func() error { v.commit, err = h.Commit(); return err },
		func() error { v.limits, err = pageLimits(h, c); return err },
	} {
		if err := read(); err != nil {
			return v, err
		}
	}
	if claims, err := h.NamesIn("/run/vmhuge/claims"); err != nil {
		return v, err
	} else if len(claims) > 0 {
		if v.pending, err = h.Pending(c.UUID); err != nil {
			return v, err
		}
	}
	said, err := h.ReadIfThere("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size")
	if err != nil {
		return v, err
	}
	if said != "" {
		if v.thpPage, err = h.THPSize(); err != nil {
			return v, err
		}
	}
	onDemand, err := h.OnDemand()
	if err != nil {
		return v, err
	}
	_, can, err := h.FreesStructs()
	if err != nil {
		return v, err
	}
	v.structs = can && v.freed == 0
	if v.page, _ = v.usual(); !v.has(v.page) || v.page == pages.Size1GiB {
		v.page = pages.Size2MiB
	}
	for _, n := range onDemand {
		v.onDemand += n
	}
	v.thpFile = path.Join(h.THPFile("enabled")...)
	headroom, _, err := capacity.Headroom(h, 0)
	v.headroom = headroom * pages.KiB
	return v, err
}

// pageLimits are those that a guest is to stay within.
func pageLimits(h host.Host, c hostprep.Candidate) ([]libvirtd.PageLimit, error) {
	if c.Session || c.Runs {
		return nil, nil
	}
	conf, err := libvirtd.ReadQEMUConf(h, "")
	if err != nil {
		return nil, nil //nolint:nilerr // a daemon that runs has read another; check tells of it
	}
	return libvirtd.PageLimits(h, conf, c.Demand.Partition)
}

// beyond says which limit on mounts, or on cgroups, the guest would be beyond with reserved pages
// of a size; "": none.
func (v view) beyond(size pages.Size, mounts bool) string {
	n := size.Ceil(v.reserved())
	for _, l := range v.limits {
		if l.Size == size && l.Files == mounts && n*int64(size) > l.Left && v.takes(size) {
			return fmt.Sprintf("%s, and it needs %d", l.Words(0), n)
		}
	}
	return ""
}

// withoutFiles says the same of mounts, and what needs none.
func (v view) withoutFiles(size pages.Size) string {
	if beyond := v.beyond(size, true); beyond != "" {
		return beyond + ": only vmhuge enable --source memfd does without"
	}
	return ""
}

// outside is how many bytes the kernel would have to commit for the guest on small pages.
func (v view) outside() int64 {
	if _, all := v.Demand.Committed(); v.Demand.Backing == pages.None {
		return all
	}
	return v.ram()
}

// ram is the guest's RAM in bytes.
func (v view) ram() int64 { return v.Traits.MemoryKiB * pages.KiB }

// reserved is how much of it reserved pages would hold, in bytes.
func (v view) reserved() int64 { return (v.Traits.MemoryKiB - v.Traits.SmallKiB) * pages.KiB }

// free is how many pages of a size a new guest gets without growth.
func (v view) free(size pages.Size) int64 { return max(0, v.state.Spare(size, v.pending)) }

func (v view) has(size pages.Size) bool {
	_, ok := v.state.Global(size)
	return ok
}

// fits says whether the host can give the RAM in pages of a size: by those
// that are free and by growth.
func (v view) fits(size pages.Size) bool {
	return v.Runs || (size.Ceil(v.reserved())-v.free(size))*int64(size) <= v.headroom
}

// nodes are those on which the guest's memory must lie; nil: any.
func (v view) nodes() []int {
	nodes, _ := pages.ParseNodesOrNone(v.Demand.CPUSetNodes)
	return nodes
}

// thpSize is the size of a transparent huge page: what the kernel says, or one entry of the page
// table's middle level, which has a page of entries.
func (v view) thpSize() pages.Size { return cmp.Or(v.thpPage, v.small*v.small/8) }

// blocks is how many transparent huge pages free memory has in one piece where
// the guest may lie.
func (v view) blocks() int64 { return host.Blocks(v.zones, v.nodes(), v.thpSize(), v.small) }

// days writes how long the host is up.
func days(up time.Duration) string {
	if hours := int(up.Hours()); hours < 48 {
		return fmt.Sprintf("%d %s", hours, pages.Plural(hours, "hour"))
	}
	return fmt.Sprintf("%d days", int(up.Hours()/24))
}
