package hostpage

import (
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
)

// hugetlbfsCheck shows each mounted hugetlbfs, and whether libvirt can use it.
var hugetlbfsCheck = hostCheck{"hugetlbfs", func(h host.Host, g anyGuest) ([]Fact, error) {
	const name = "hugetlbfs"
	mounts, err := h.Mounts()
	if err != nil {
		return nil, err
	}
	var facts []Fact
	for _, m := range mounts {
		if m.Hidden != "" { // check.Mount says so
			continue
		}
		st, err := h.Lstat(m.Point)
		if err != nil {
			return facts, err
		}
		facts = append(facts, mountFacts(h, m, st)...)
	}
	libvirt, err := libvirtd.Installed(h)
	if err != nil || !libvirt || g.size == 0 {
		if len(facts) == 0 {
			facts = append(facts, fine(name, "none")) // plain QEMU takes a memfd
		}
		return facts, err
	}
	for _, one := range []check.Check{check.Mount, check.Path, check.Covered, check.DevMounts} {
		findings, err := one.Detect(h, g.Guest)
		if err != nil && !isNoAccount(err) {
			return facts, err
		}
		facts = append(facts, of(name, findings, hostprep.Blocker)...)
	}
	d, err := check.Driver(h, g.Guest)
	if err != nil {
		return facts, err
	}
	state, err := h.Pools()
	if err != nil {
		return facts, nil // pageSizesCheck says why
	}
	for _, p := range state.Globals {
		mounted := slices.ContainsFunc(mounts, func(m host.Mount) bool { return m.Size == p.Size })
		if p.Size == g.size || d.MountFor(p.Size) != nil || p.Total == 0 && !mounted {
			continue
		}
		f, err := check.NoMount(h, g.Guest, d, p.Size)
		if err != nil {
			return facts, err
		}
		facts = append(facts, of(name, []hostprep.Finding{f}, hostprep.Warning)...)
	}
	return facts, nil
}}

// mountFacts are the lines about one mount; st describes its root, and is nil if that
// can't be read.
func mountFacts(h host.Host, m host.Mount, st *unix.Stat_t) []Fact {
	const name = "hugetlbfs"
	mode := uint32(m.Mode)
	have := fmt.Sprintf("%s (%s)", m.Point, m.Size)
	if st != nil {
		mode = st.Mode & 0o7777
		if owner := host.OwnerText(st); owner != "0755 0:0" {
			have += ", " + owner
		}
	}
	facts := []Fact{fine(name, have)}
	found, set, meant := mode, "has the mode ", slipOf(mode)
	if meant == 0 { // the mode was changed since, but the next mount sets this one again
		found, set, meant = uint32(m.Mode), "was mounted with mode=", slipOf(uint32(m.Mode))
	}
	switch {
	case meant != 0:
		facts = append(facts, off(hostprep.Warning, name, fmt.Sprintf("%s %s%s, which is %o written in decimal by mistake", m.Point, set, host.ModeText(found), meant), "mode="+host.ModeText(meant),
			fmt.Sprintf("chmod %s %s, and correct it where it is set", host.ModeText(meant), shell.Quote(m.Point))))
	case mode&0o1002 == 0o0002:
		facts = append(facts, off(hostprep.Warning, name, m.Point+" is world-writable: any user can take its pages", "0755, or 1770 and a group",
			"chmod 0755 "+shell.Quote(m.Point)))
	}
	if m.SizeLimit > 0 {
		free, _ := h.FreeOn(m)
		facts = append(facts, off(hostprep.Note, name, fmt.Sprintf("%s is mounted with size=%d: %s free", m.Point, m.SizeLimit, pages.Amount(free)),
			"no limit, unless intended", check.MountAnew(m, "size=")))
	}
	if m.MinSize > 0 {
		facts = append(facts, off(hostprep.Note, name, fmt.Sprintf("%s is mounted with min_size=%d: %s reserved for files on it", m.Point, m.MinSize, pages.Amount(m.MinSize)),
			"pages for all users, unless intended", check.MountAnew(m, "min_size=")))
	}
	return facts
}

// usualModes are the modes that administrators give a hugetlbfs.
var usualModes = []uint32{0o700, 0o750, 0o755, 0o770, 0o775, 0o777, 0o1700, 0o1750, 0o1755, 0o1770, 0o1775, 0o1777, 0o2770, 0o2775}

// slipOf returns the mode that was meant where one was written in decimal, as
// by a program that lost the leading 0; 0: it looks meant. 1770 then is
// 03352; libvirt adds the right to search, which makes it 03353, and what can't
// set the bits of 03000 leaves 0352.
func slipOf(mode uint32) (meant uint32) {
	const search = 0o011
	for _, usual := range usualModes {
		decimal, _ := strconv.ParseUint(strconv.FormatUint(uint64(usual), 8), 10, 32)
		for _, kept := range []uint32{0o7777, 0o1777, 0o777} {
			if slip := uint32(decimal) & kept; slip == mode || slip|search == mode {
				return usual
			}
		}
	}
	return 0
}
