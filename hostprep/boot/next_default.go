package boot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
	"vmhuge/internal/sysctl"
)

// NewDefault is a default size of huge pages that comes with the next boot: from then on
// vm.nr_hugepages counts pages of it, and a hugepages= without a size, and a hugetlbfs that is
// mounted without one has them.
type NewDefault struct {
	Where string // the file that the next boot reads
	First string // what has to be run before the next boot for that; "": nothing
	Size  pages.Size
	Gone  bool // Where sets no default any more, so that it is the architecture's own
}

// NextDefault looks for a new default size in the boot loader's files and tuned's active
// profile, vmhuge's own options included; nil: they leave it as it is, or can't be read.
func NextDefault(h host.Host) (*NewDefault, error) {
	return host.Once(h, cacheKey("next default"), func() (*NewDefault, error) { return nextDefault(h) })
}

func nextDefault(h host.Host) (*NewDefault, error) {
	k, err := ReadKernel(h)
	if err != nil {
		return nil, err
	}
	sources, err := nextLines(h)
	if err != nil {
		return nil, err
	}
	profile, err := tunedCmdline(h)
	if err != nil {
		return nil, err
	}
	added := k.Takes(profile.Text).Default
	for _, s := range sources {
		for _, l := range s.lines {
			set := k.Takes(l.Text).Default
			if set == 0 && (l.File == profile.File || added != 0) { // tuned's line is added to the others
				continue
			}
			if size := cmp.Or(set, k.Standard); size != k.DefaultSize() {
				return &NewDefault{Where: s.from(l), First: s.first, Size: size, Gone: set == 0}, nil
			}
		}
	}
	return nil, nil
}

// nextDefaultSize is the size that vm.nr_hugepages counts after the next boot.
func (k Kernel) nextDefaultSize(h host.Host) (pages.Size, error) {
	next, err := NextDefault(h)
	if next == nil {
		return k.DefaultSize(), err
	}
	return next.Size, err
}

// Words is the new default in a clause.
func (n NewDefault) Words() string {
	if n.Gone {
		return n.Where + " sets no default size, which makes it " + n.Size.String() + " at the next boot"
	}
	return n.Where + " makes " + n.Size.String() + " the default size at the next boot"
}

// refuseDefault says what a table can't have because the default size of this boot is not the
// next one's; nil: nothing.
func (b Table) refuseDefault(h host.Host) (*hostprep.Finding, error) {
	f := hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost}
	next, err := NextDefault(h)
	if err != nil {
		return nil, err
	}
	if next != nil && b.Overcommit && len(b.Pages) > 0 {
		f.Have, f.Need = next.Words(), "a default size that stays: vm.nr_overcommit_hugepages counts pages of it"
		f.Do = "reboot first, or leave out --overcommit"
		return &f, nil
	}
	k, err := ReadKernel(h)
	if err != nil || b.DefaultSize == 0 || b.DefaultSize == k.DefaultSize() {
		return nil, err
	}
	counts, err := DefaultCounts(h)
	for _, s := range slices.Backward(counts) {
		if n, wrong := sysctl.Number(s.Value); wrong == nil && s.Where != SysctlFile {
			f.Have = fmt.Sprintf("%s says %s = %s, which would be %s after the next boot", s.Where, s.Name, s.Value, pages.Count(n, b.DefaultSize))
			f.Need = "no setting that counts pages of the default size"
			f.Do = fmt.Sprintf("take it out there; vmhuge prepare --persist --pages %d --size %s asks for them by their size", n, pages.SizeWord(k.DefaultSize()))
			return &f, err
		}
	}
	return nil, err
}

// DefaultCounts lists the settings of sysctl, vmhuge's own file included, that count pages of
// the default size, whichever that is when they are made: of each name the one that holds.
func DefaultCounts(h host.Host) ([]Setting, error) {
	lines, err := SysctlLines(h)
	if err != nil {
		return nil, err
	}
	text, err := h.ReadIfThere(SysctlFile)
	var ours []Setting
	for line := range strings.Lines(text) {
		if name, value, ok := sysctl.Parse(strings.TrimSpace(line)); ok {
			ours = append(ours, Setting{Where: SysctlFile, Name: name, Value: value})
		}
	}
	later := slices.IndexFunc(lines, func(s Setting) bool { return s.Later })
	if later < 0 {
		later = len(lines)
	}
	all := slices.Concat(lines[:later], ours, lines[later:])
	var counts []Setting
	for _, name := range []string{"vm.nr_hugepages", "vm.nr_overcommit_hugepages"} {
		for _, s := range slices.Backward(all) {
			if n, wrong := sysctl.Number(s.Value); s.Sets(name) && wrong == nil {
				if n > 0 {
					counts = append(counts, s)
				}
				break
			}
		}
	}
	return counts, err
}
