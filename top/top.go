// Package top is the live view of a host: pools, guests, what the hook did, and
// what can be done about a guest. It sees the host through a Source alone, and
// never waits for it.
package top

import (
	"cmp"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"vmhuge/picture"
)

// Source is what the view is told, and what it may ask for. All of it may take
// long; the functions are called beside each other, but none of the first two
// while it still runs.
type Source struct {
	Host   func() (Host, error)
	Guests func() ([]Guest, error)
	// Details tells all about a guest, Plan what an action would do to it.
	Details func(Guest) ([]string, error)
	Plan    func(Action, Guest) ([]string, error)
	// Do does it, and says what came of it in a sentence.
	Do func(action Action, g Guest, report func(step string)) (string, error)
}

// Host is what is seen without libvirt.
type Host struct {
	Pools  []picture.Pool
	Area   string   // for pages of 1 GiB on demand; "": there is none
	Events []string // of the hook, the newest first
	Wrong  []string
}

// Guest is a guest of libvirt.
type Guest struct {
	picture.Guest
	UUID   string
	Active bool
}

// Action is what can be done about a guest.
type Action string

// The actions.
const (
	Start    Action = "start"
	Stop     Action = "stop"
	Enable   Action = "enable"
	Collapse Action = "collapse"
)

// order is what the guests are sorted by.
type order string

const (
	byName     order = "name"
	byRAM      order = "RAM"
	byCoverage order = "coverage"
)

// mode is what the keys are for.
type mode int

const (
	list mode = iota
	filtering
	confirming
	details
	helping
)

// Model is the view and what it knows.
type Model struct {
	source   Source
	style    func(width int) picture.Style
	interval time.Duration
	send     func(tea.Msg) // from beside the loop

	width, height int
	now           time.Time

	host    Host
	hostErr error

	guests    []Guest
	guestsErr error
	known     bool      // the guests were read once
	asked     time.Time // for the guests, while there is no answer; else zero
	reads     int       // of the guests

	mode     mode
	order    order
	filter   string
	selected string // the guest's UUID

	// action is what is to be confirmed, for the guest that text tells of, or
	// whose details it is. asking: the text is not there yet.
	action Action
	guest  Guest
	text   []string
	asking bool
	offset int // lines of text above the screen

	busy    map[string]string // by UUID: what is being done, to whom
	message string            // of the last action
	failed  bool              // it says what went wrong

	err error // what ended it
}

// New makes a view of a source, which is asked anew each interval.
func New(source Source, style func(width int) picture.Style, interval time.Duration) *Model {
	return &Model{source: source, style: style, interval: interval, order: byName, busy: map[string]string{},
		width: 80, height: 24, now: time.Now(), send: func(tea.Msg) {}}
}

// shown is the guests in their order, those that the filter lets through.
func (m *Model) shown() []Guest {
	var guests []Guest
	for _, g := range m.guests {
		if strings.Contains(strings.ToLower(g.Name), strings.ToLower(m.filter)) {
			guests = append(guests, g)
		}
	}
	slices.SortStableFunc(guests, func(a, b Guest) int {
		byName := cmp.Compare(a.Name, b.Name)
		switch m.order {
		case byRAM:
			return cmp.Or(cmp.Compare(b.RAMKiB, a.RAMKiB), byName)
		case byCoverage: // those that lack the most first
			return cmp.Or(cmp.Compare(lack(b), lack(a)), byName)
		}
		return byName
	})
	return guests
}

// lack is how much of a guest's RAM should be on huge pages and is not.
func lack(g Guest) float64 {
	if g.Percent == -1 {
		return -1
	}
	return 100 - g.Percent
}

// index is where the selected guest is; where it is gone, the first.
func (m *Model) index(guests []Guest) int {
	return max(0, slices.IndexFunc(guests, func(g Guest) bool { return g.UUID == m.selected }))
}
