package hostpage

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
)

// holdersCheck lists the processes that use huge pages, and finds pages in use that no
// process has mapped: they belong to files left on a hugetlbfs, to deleted files that are
// still open, or to shared memory.
var holdersCheck = hostCheck{"in use", func(h host.Host, _ anyGuest) ([]Fact, error) {
	const name = "in use"
	state, err := h.Pools()
	if err != nil {
		return nil, nil // pageSizesCheck says why
	}
	var used int64
	smallest := pages.Size(0)
	for _, p := range state.Globals {
		used += (p.Total - p.Free) * int64(p.Size)
		if p.Total > p.Free && (smallest == 0 || p.Size < smallest) {
			smallest = p.Size
		}
	}
	if used == 0 {
		return nil, nil
	}
	users, err := h.HugetlbUsers()
	if err != nil {
		return nil, err
	}
	var words []string
	var mapped int64
	for i, u := range users {
		if mapped += u.Bytes; i < 5 {
			words = append(words, fmt.Sprintf("%s (process %d) %s", u.Name, u.PID, pages.Amount(u.Bytes)))
		}
	}
	switch n := len(users) - len(words); {
	case n == 1:
		words = append(words, "and 1 more process")
	case n > 1:
		words = append(words, fmt.Sprintf("and %d more processes", n))
	}
	facts := []Fact{}
	if len(words) > 0 {
		facts = append(facts, fine(name, strings.Join(words, ", ")))
	}
	if used-mapped < int64(smallest) {
		return facts, nil
	}
	hidden, err := h.HiddenProcesses()
	if err != nil {
		return facts, err
	}
	have := pages.Amount(used-mapped) + " of huge pages are in use, and no process has them mapped"
	if hidden != "" {
		have = pages.Amount(used-mapped) + " of huge pages are in use, and no process that vmhuge can see has them mapped: " + hidden
	}
	files, remove, err := leftFiles(h)
	if err != nil {
		return facts, err
	}
	do := "look for deleted files that are still open (ls -l /proc/[0-9]*/fd | grep -e hugepages -e memfd), and for shared memory (ipcs -mp; ipcrm -m ID removes it)"
	if len(files) > 0 {
		have += "; files that hold pages: " + strings.Join(files, ", ")
	}
	switch {
	case hidden != "": // whose process may use the files
		do = "run vmhuge as root, on the host itself"
	case len(files) > 0:
		do = "if nobody needs them any more: rm " + strings.Join(remove, " ")
	}
	return append(facts, off(hostprep.Note, name, have, "only pages that something uses", do)), nil
}}

// leftFiles lists files on a hugetlbfs that hold pages, as words for a sentence and as
// paths quoted for the shell, at most five.
func leftFiles(h host.Host) (words, paths []string, err error) {
	mounts, err := h.Mounts()
	for _, m := range mounts {
		if m.Hidden != "" {
			continue
		}
		files, err := h.HugetlbFiles(m)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range files[:min(len(files), 5-len(words))] {
			words = append(words, fmt.Sprintf("%q (%s)", f.Path, pages.Amount(f.Bytes)))
			paths = append(paths, shell.Quote(f.Path))
		}
	}
	return words, paths, err
}

// reservedCheck shows which settings reserve pages at boot, and notes pools of which no
// page is used: the host cannot use that memory for anything else.
var reservedCheck = hostCheck{"reserved", func(h host.Host, _ anyGuest) ([]Fact, error) {
	const name = "reserved"
	state, err := h.Pools()
	if err != nil {
		return nil, nil // pageSizesCheck says why
	}
	all, err := boot.Reservations(h)
	if err != nil {
		return nil, err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	table, err := boot.Read(h)
	if err != nil {
		return nil, err
	}
	for _, row := range table.Sums(nil) {
		all = append(slices.Clip(all), boot.Reservation{Where: "/etc/vmhuge/boot.json (vmhuge prepare --persist)", Size: row.Size, Pages: row.Pages})
	}
	var facts []Fact
	atBoot := map[pages.Size]int64{}
	for _, r := range all {
		if r.Later && r.OnNode() == "" { // it replaces what was there
			atBoot[r.Size] = 0
		}
		atBoot[r.Size] += max(0, r.Pages)
	}
	var sum int64 // bytes
	for size, n := range atBoot {
		sum += n * int64(size)
	}
	by := map[pages.Size][]string{}
	for _, r := range all {
		if r.Pages == 0 { // it takes pages away
			continue
		}
		by[r.Size] = append(by[r.Size], r.Where)
		amount := r.Text
		if r.Pages > 0 {
			amount = pages.Count(r.Pages, r.Size)
		}
		if r.Booted || r.Coming {
			continue // cmdlineCheck or nextBootCheck says it
		}
		has, _ := state.Global(r.Size)
		onNode := ""
		if node := r.OnNode(); node != "" {
			onNode = " --node " + node
			if id, err := strconv.Atoi(node); err == nil {
				on, _ := state.Pool(id, r.Size)
				has.Total = on.Total
			}
		}
		limit := mem.Total - pool.Reserve(mem.Total)
		switch bytes := r.Pages * int64(r.Size); {
		case bytes > limit:
			facts = append(facts, off(hostprep.Warning, name, fmt.Sprintf("%s asks for %s at boot, which is %s, and the host has %s of memory", r.Where, amount, pages.Amount(bytes), pages.Amount(mem.Total)),
				"less, so that the next boot has memory for everything else", "lower it in "+r.Where))
		case sum > limit && r.Pages > 0:
			facts = append(facts, off(hostprep.Warning, name, fmt.Sprintf("%s asks for %s at boot; with all that is reserved at boot that is %s, and the host has %s of memory", r.Where, amount, pages.Amount(sum), pages.Amount(mem.Total)),
				"less, so that the next boot has memory for everything else", "lower it in "+r.Where))
		case r.Pages > has.Total && r.Pages > pool.Most(state, mem.Total, pool.Reserve(mem.Total), r.Size) && has.Size != 0:
			facts = append(facts, off(hostprep.Note, name, fmt.Sprintf("%s asks for %s at boot, and the pool has %d", r.Where, amount, has.Total),
				"as many, if they are for guests", "they do not fit beside the present pools of other sizes: reboot, or make those smaller"))
		case r.Pages > has.Total && has.Size != 0:
			facts = append(facts, off(hostprep.Note, name, fmt.Sprintf("%s asks for %s at boot, and the pool has %d", r.Where, amount, has.Total),
				"as many, if they are for guests", fmt.Sprintf("vmhuge prepare --pages %d --size %s%s allocates them now; if there was no memory for them at boot, ask for fewer", r.Pages, pages.SizeWord(r.Size), onNode)))
		default:
			facts = append(facts, fine(name, amount+" at boot, by "+r.Where))
		}
	}
	commit, room, err := boot.NextPoolRoom(h, pool.Reserve(mem.Total))
	if err != nil {
		return facts, err
	}
	if sum > room {
		facts = append(facts, off(hostprep.Warning, name, fmt.Sprintf("%s is reserved at boot; %s, and %s is committed now", pages.Amount(sum), commit.Words(), pages.Amount(commit.Committed)),
			fmt.Sprintf("%s at most: where the kernel commits no more, programs cannot fork or map memory", pages.Amount(room)), "reserve less, or "+commit.More()))
	}
	reserved, err := ledger.ReadReservations(h.Root)
	if err != nil {
		return facts, err
	}
	for _, r := range reserved {
		facts = append(facts, fine(name, r.Words()))
	}
	pending, err := h.Pending("")
	if err != nil {
		return facts, err
	}
	for _, g := range state.Globals {
		if slices.ContainsFunc(reserved, func(r ledger.Reservation) bool { return r.Size == g.Size }) ||
			slices.ContainsFunc(pending, func(p pool.Pending) bool { return p.Size == g.Size }) {
			continue
		}
		idle := g.Total > g.Surplus && g.Free == g.Total && g.Reserved == 0
		if !idle {
			continue
		}
		have, do := fmt.Sprintf("nobody uses the %s, which keep %s from everything else", pages.Count(g.Total-g.Surplus, g.Size), pages.Amount((g.Total-g.Surplus)*int64(g.Size))), ""
		for _, node := range state.Nodes(g.Size) {
			if p, _ := state.Pool(node, g.Size); p.Total > 0 {
				do += fmt.Sprintf("echo 0 > %s; ", pool.File(h.Root, node, g.Size))
			}
		}
		do = "if they are not for a guest: " + strings.TrimSuffix(do, "; ")
		if places := by[g.Size]; len(places) > 0 {
			do += ", and take them out of " + strings.Join(places, " and ")
		}
		facts = append(facts, off(hostprep.Note, name, have, "no more pages than guests will take", do))
	}
	return facts, nil
}}
