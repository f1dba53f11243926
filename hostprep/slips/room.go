package slips

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/lazyregexp"
	"vmhuge/internal/pages"
)

// room is what huge pages may take of a host's memory at boot.
type room struct {
	total, kept int64 // bytes, and what of them the host keeps; total 0: not known
	// byFiles is how many pages sysctl's files, units and scripts set, by size.
	byFiles map[pages.Size]int64
}

func readRoom(h host.Host) (room, error) {
	mem, err := h.Meminfo()
	if err != nil {
		return room{}, err
	}
	r := room{mem.Total, pool.Reserve(mem.Total), map[pages.Size]int64{}}
	all, err := boot.Reservations(h)
	for _, a := range all {
		switch {
		case !a.File || a.Pages < 0:
		case a.OnNode() != "":
			r.byFiles[a.Size] += a.Pages
		default:
			r.byFiles[a.Size] = a.Pages
		}
	}
	return r, err
}

// besides is how many bytes all that is reserved at boot takes, pages of one size aside.
// asked is what the kernel's command line asks for.
func (r room) besides(asked boot.Request, size pages.Size) int64 {
	bytes := asked.Area()
	all := map[pages.Size]int64{}
	for p, n := range asked.Pages {
		all[p.Size] += n
	}
	for size, n := range r.byFiles {
		all[size] = n
	}
	delete(all, size)
	for size, n := range all {
		bytes += n * int64(size)
	}
	return bytes
}

// lacks says that so many pages of a size do not fit beside what else is reserved, and how
// many do.
func (r room) lacks(asked boot.Request, size pages.Size, n int64) (fit int64, why string) {
	besides := r.besides(asked, size)
	left := r.total - r.kept - besides
	if r.total == 0 || size <= 0 || n <= left/int64(size) {
		return n, ""
	}
	why = fmt.Sprintf("%s do not fit: the host has %s and keeps %s of it", pages.Count(n, size), pages.Amount(r.total), pages.Amount(r.kept))
	if r.total <= r.kept {
		why = fmt.Sprintf("the host has only %s, and vmhuge would leave it %s", pages.Amount(r.total), pages.Amount(r.kept))
	}
	if n == 1 {
		why = strings.Replace(why, "do not", "does not", 1)
	}
	if besides > 0 {
		why += fmt.Sprintf(", and %s is reserved besides", pages.Amount(besides))
	}
	return max(0, left/int64(size)), why
}

// correction is a slip, and the words that its right spelling replaces: the first, and the
// last as well.
type correction struct {
	Slip
	from, to int
}

// asked are the words of a right spelling for the kernel's command line.
func (c correction) asked() (words []string) {
	for _, word := range strings.Fields(c.Right) {
		if !strings.Contains(word, "=") || word == "hugetlb_cma=" {
			break
		}
		words = append(words, strings.TrimSuffix(word, ","))
		if strings.HasSuffix(word, ",") {
			break
		}
	}
	return words
}

// fit lowers the counts of corrections to what the host has room for, once all of them are made.
func (k kernel) fit(words []string, found []correction) {
	line := func(without int) string {
		var all []string
		for i, word := range words {
			at := slices.IndexFunc(found, func(c correction) bool { return i == c.from || i == c.to })
			switch {
			case at < 0:
				all = append(all, word)
			case i == found[at].from && at != without:
				all = append(all, found[at].asked()...)
			}
		}
		return strings.Join(all, " ")
	}
	asked := k.Takes(line(-1))
	if !k.CMA {
		asked.Areas = nil
	}
	lowered := map[pages.Size]bool{}
	for i := range found {
		c := &found[i]
		without := k.Takes(line(i))
		for _, size := range k.Sizes {
			n := asked.Of(size)
			if n <= without.Of(size) || lowered[size] {
				continue
			}
			fit, why := k.room.lacks(asked, size, n)
			if why == "" {
				continue
			}
			lowered[size] = true
			right := fitting(c.asked(), n, fit) + ", as " + why
			if _, why := k.room.lacks(boot.Request{}, k.DefaultSize(), n); why == "" && n*int64(k.DefaultSize()) >= 128*pages.MiB && c.early {
				right += fmt.Sprintf("; or without hugepagesz=%s, if pages of %s are meant", pages.SizeWord(size), k.DefaultSize())
			}
			c.Right = right
		}
		if n, size, ok := k.bySysctl(c.asked()); ok {
			if fit, why := k.room.lacks(asked, size, n); why != "" {
				c.Right = fitting(c.asked(), n, fit) + ", as " + why
			}
		}
	}
}

// bySysctl is what a word such as sysctl.vm.nr_hugepages=64 asks for.
func (k kernel) bySysctl(words []string) (n int64, size pages.Size, ok bool) {
	for _, word := range words {
		if value, is := strings.CutPrefix(word, "sysctl.vm.nr_hugepages="); is {
			n, err := strconv.ParseInt(value, 0, 62)
			return n, k.DefaultSize(), err == nil
		}
	}
	return 0, 0, false
}

// fitting is a right spelling with the count that fits in the place of n.
func fitting(words []string, n, fit int64) string {
	words = slices.Clone(words)
	counts := false
	for i, word := range words {
		name, value, _ := strings.Cut(word, "=")
		if !strings.HasSuffix(name, "hugepages") {
			continue
		}
		counts = true
		if value == strconv.FormatInt(n, 10) {
			words[i] = fmt.Sprintf("%s=%d", name, fit)
		} else {
			words[i] = fmt.Sprintf("%s=NODE:N,NODE:N with at most %d pages in all", name, fit)
		}
	}
	if !counts && len(words) > 0 {
		words = append(words, fmt.Sprintf("with hugepages=%d after it", fit))
	}
	if fit == 0 {
		words = nil
	}
	return cmp.Or(strings.Join(words, " "), "none of these pages")
}

var countSet = lazyregexp.New(`^vm[./]nr_hugepages(?:_mempolicy)?\s*=\s*([0-9]+)`)

// fitSettings lowers the counts of settings, once they are right, to what the host has room for.
func fitSettings(h host.Host, all []Slip) error {
	counts := func(s Slip) bool { return s.moves || countSet.Get().MatchString(s.Right) }
	if !slices.ContainsFunc(all, counts) {
		return nil
	}
	k, err := boot.ReadKernel(h)
	if err != nil {
		return err
	}
	r, err := readRoom(h)
	if err != nil {
		return err
	}
	for i := range all {
		s := &all[i]
		text := s.Right
		if s.moves { // what stands there is read then
			text = s.Word
		}
		m := countSet.Get().FindStringSubmatch(text)
		if m == nil {
			continue
		}
		n, err := strconv.ParseInt(m[1], 10, 62)
		if err != nil {
			continue
		}
		if fit, why := r.lacks(k.Asked(), k.DefaultSize(), n); why != "" {
			right := fmt.Sprintf("vm.nr_hugepages = %d, as %s", fit, why)
			if text != s.Right {
				right = s.Right + ", with " + right
			}
			s.Right = right
		}
	}
	return nil
}
