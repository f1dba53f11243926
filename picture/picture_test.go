package picture

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"

	"vmhuge/internal/pages"
)

var (
	pools = []Pool{
		{Node: 0, Size: pages.Size2MiB, Total: 2048, Free: 1000, Reserved: 200, Ours: 512, CouldMake: 4096},
		{Node: 0, Size: pages.Size1GiB, Total: 2, Free: 2, CouldMake: 9},
	}
	guests = []Guest{
		{Name: "web1", State: "running", RAMKiB: 4 << 20, Backing: pages.Hugetlb, Sizes: []pages.Size{pages.Size2MiB, pages.Size1GiB}, Percent: 100, Nodes: "0-1", GivenBackBy: "kernel"},
		{Name: "datenbank-网络-mit-langem-namen", State: "in shutdown", RAMKiB: 1536 << 10, Backing: pages.THP, Percent: 99.9},
		{Name: "idle", State: "shut off", RAMKiB: 500, Backing: pages.None, Percent: -1},
		{Name: "lost", State: "running", RAMKiB: 1 << 30, Backing: pages.Hugetlb, Sizes: []pages.Size{0}, Percent: -2},
		{Name: "small", State: "paused", RAMKiB: 1 << 20, Backing: pages.THP, Percent: 0},
	}
)

func draw(s Style) string {
	header, lines := s.Guests(guests)
	return strings.Join(slices.Concat(s.Pools(pools), []string{header}, lines, []string{s.Rule("title")}), "\n") + "\n"
}

func TestPicture(t *testing.T) {
	for name, row := range map[string]struct {
		style Style
		want  string
	}{
		"100 UTF-8": {Style{Width: 100, UTF8: true}, `NODE  PAGES                                        TOTAL  USED  RESERVED  FREE  BY VMHUGE  AVAILABLE
0     2 MiB  ███▓▓▓▒░░░░░························   2048  1048       200   800        512       4096
0     1 GiB  ░░░░░░···························         2     0         0     2          0          9
█ used  ▓ added by vmhuge  ▒ reserved  ░ free  · available
GUEST                        STATE            RAM  BACKING       HUGE PAGES          NODES  FREED BY
web1                         running        4 GiB  2 MiB, 1 GiB  ██████████   100 %  0-1    kernel
datenbank-网络-mit-langem-…  in shutdown  1.5 GiB  transparent   █████████░  99.9 %
idle                         shut off     500 KiB  small pages
lost                         running        1 TiB  default size                   ?
small                        paused         1 GiB  transparent   ░░░░░░░░░░     0 %
── title ───────────────────────────────────────────────────────────────────────────────────────────
`},
		"80 ASCII": {Style{Width: 80}, `NODE  PAGES                    TOTAL  USED  RESERVED  FREE  BY VMHUGE  AVAILABLE
0     2 MiB  #++%-...........   2048  1048       200   800        512       4096
0     1 GiB  ---............       2     0         0     2          0          9
# used  + added by vmhuge  % reserved  - free  . available
GUEST              STATE            RAM  BACKING       HUGE PAGES          NODES
web1               running        4 GiB  2 MiB, 1 GiB  ##########   100 %  0-1
datenbank-??-mit~  in shutdown  1.5 GiB  transparent   #########-  99.9 %
idle               shut off     500 KiB  small pages
lost               running        1 TiB  default size                   ?
small              paused         1 GiB  transparent   ----------     0 %
-- title -----------------------------------------------------------------------
`},
		"40 ASCII": {Style{Width: 40}, `NODE  PAGES                         USED
0     2 MiB  #++%-...........  1048/2048
0     1 GiB  ---............         0/2
# used  + added by vmhuge  % reserved
- free  . available
GUEST       STATE            RAM    HUGE
web1        running        4 GiB   100 %
datenbank~  in shutdown  1.5 GiB  99.9 %
idle        shut off     500 KiB
lost        running        1 TiB       ?
small       paused         1 GiB     0 %
-- title -------------------------------
`},
	} {
		if got := draw(row.style); got != row.want {
			t.Errorf("%s:\n%s\nnot\n%s", name, got, row.want)
		}
	}
}

// No line is wider than the terminal, and colours take no room.
func TestWidths(t *testing.T) {
	colours := regexp.MustCompile(`\x1b\[[0-9]+m`)
	for width := MinWidth; width < 200; width++ {
		plain := draw(Style{Width: width, UTF8: true})
		for line := range strings.Lines(plain) {
			if n := lipgloss.Width(line); n > width {
				t.Errorf("%d columns of %d: %s", n, width, line)
			}
		}
		coloured := draw(Style{Width: width, UTF8: true, Colours: true})
		if got := colours.ReplaceAllString(coloured, ""); got != plain {
			t.Errorf("%d columns, with colours:\n%s\nnot\n%s", width, got, plain)
		}
		if ascii := draw(Style{Width: width}); strings.ContainsFunc(ascii, func(r rune) bool { return r > 0x7e }) {
			t.Errorf("%d columns: not ASCII:\n%s", width, ascii)
		}
	}
}

func TestBar(t *testing.T) {
	s := Style{}
	for want, row := range map[string]struct {
		whole   int64
		amounts []Amount
	}{
		"##########": {10, []Amount{{Used, 10}}},
		"#+%-......": {1 << 40, []Amount{{Used, 1}, {Ours, 1}, {Reserved, 1}, {Free, 1}, {CouldMake, 1 << 40}}},
		"######+%-.": {1 << 40, []Amount{{Used, 1 << 40}, {Ours, 1}, {Reserved, 1}, {Free, 1}, {CouldMake, 1}}},
		"#####     ": {2, []Amount{{Used, 1}, {Ours, 0}, {Free, -1}}},
		"          ": {0, nil},
		"++++++++++": {1, []Amount{{Ours, 5}}},
	} {
		if got := s.Bar(10, row.whole, row.amounts...); got != want {
			t.Errorf("%v: %q, not %q", row.amounts, got, want)
		}
	}
	if got := s.Bar(2, 5, Amount{Used, 1}, Amount{Ours, 1}, Amount{Reserved, 1}, Amount{Free, 1}); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// The parts of a pool never overlap: they add up to it.
func TestAmounts(t *testing.T) {
	for _, p := range []Pool{
		{Total: 100, Free: 100, Ours: 50},               // for a guest that starts
		{Total: 100, Free: 100, Ours: 50, Reserved: 50}, // it has mapped them
		{Total: 100, Free: 50, Ours: 50},                // and touched them
		{Total: 100, Free: 30, Ours: 80, Reserved: 5},
		{Total: 100, Free: 30, Ours: 100, Reserved: 30},
		{Total: 10, Free: 5, Reserved: 8, Ours: 20}, // read while it changed
		{Total: 10, Free: 5, Reserved: -1},
	} {
		p.Size, p.CouldMake = pages.Size2MiB, -1
		var sum int64
		for _, a := range p.amounts() {
			if a.N < 0 {
				t.Errorf("%+v: %+v", p, a)
			}
			sum += a.N
		}
		if sum != p.Total*2048 {
			t.Errorf("%+v: %d of %d KiB", p, sum, p.Total*2048)
		}
	}
}

func TestCut(t *testing.T) {
	for _, row := range []struct {
		text  string
		width int
		want  string
	}{{"web1", 4, "web1"}, {"web1", 3, "we…"}, {"web1", 1, "…"}, {"web1", 0, ""}, {"网络", 3, "网…"}, {"网络", 2, "…"},
		{"\x1b[31mweb1\x1b[0m", 3, "\x1b[31mwe\x1b[0m…\x1b[0m"}} {
		if got := (Style{UTF8: true}).Cut(row.text, row.width); got != row.want {
			t.Errorf("%q in %d: %q, not %q", row.text, row.width, got, row.want)
		}
	}
	if got := (Style{}).Text("größer … ✓"); got != "gr??er ~ ?" {
		t.Errorf("%q", got)
	}
}

func TestSize(t *testing.T) {
	for kib, want := range map[int64]string{0: "0 KiB", 1023: "1023 KiB", 1024: "1 MiB", 1536: "1.5 MiB", 1 << 20: "1 GiB", 3 << 29: "1.5 TiB"} {
		if got := Size(kib); got != want {
			t.Errorf("%d: %s, not %s", kib, got, want)
		}
	}
}
