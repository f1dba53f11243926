package top

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"vmhuge/internal/pages"
	"vmhuge/picture"
)

var update = flag.Bool("update", false, "write the expected screens in testdata anew")

var (
	at   = time.Date(2026, 5, 1, 12, 30, 0, 0, time.UTC)
	host = Host{
		Pools: []picture.Pool{
			{Node: 0, Size: pages.Size2MiB, Total: 2048, Free: 1000, Reserved: 0, Ours: 512, CouldMake: -1},
			{Node: 0, Size: pages.Size1GiB, Total: 2, Free: 1, CouldMake: -1},
		},
		Events: []string{"12:29:10, prepare of web1: held", "12:10:00, release of db1: released"},
	}
	web1 = Guest{picture.Guest{Name: "web1", State: "running", RAMKiB: 1 << 20, Backing: pages.Hugetlb, Sizes: []pages.Size{pages.Size2MiB}, Percent: 100, Nodes: "0"}, "w", true}
	db1  = Guest{picture.Guest{Name: "db1", State: "running", RAMKiB: 4 << 20, Backing: pages.THP, Percent: 62.5}, "d", true}
	old1 = Guest{picture.Guest{Name: "old1", State: "shut off", RAMKiB: 2 << 20, Backing: pages.None, Percent: -1}, "o", false}
)

// source answers at once, and notes what it is asked to do.
func source(did *[]string) Source {
	note := func(words ...string) { *did = append(*did, strings.Join(words, " ")) }
	return Source{
		Host:    func() (Host, error) { return host, nil },
		Guests:  func() ([]Guest, error) { return []Guest{web1, db1, old1}, nil },
		Details: func(g Guest) ([]string, error) { note("details", g.Name); return []string{"all about " + g.Name}, nil },
		Plan: func(a Action, g Guest) ([]string, error) {
			note("plan", string(a), g.Name)
			return []string{"would: " + string(a)}, nil
		},
		Do: func(a Action, g Guest, report func(string)) (string, error) {
			note(string(a), g.Name)
			report("getting huge pages")
			return g.Name + ": done", nil
		},
	}
}

func newModel(t *testing.T, source Source, style picture.Style) *Model {
	t.Helper()
	m := New(source, func(int) picture.Style { return style }, 2*time.Second)
	m.now = at
	settle(t, m, m.readHost())
	settle(t, m, m.readGuests())
	return m
}

// settle runs what the model asks for, but for what only time brings.
func settle(t *testing.T, m *Model, cmd tea.Cmd) {
	t.Helper()
	if cmd == nil {
		return
	}
	answer := make(chan tea.Msg, 1)
	go func() { answer <- cmd() }()
	select {
	case msg := <-answer:
		if _, quit := msg.(tea.QuitMsg); quit {
			m.message = "quit"
			return
		}
		_, next := m.Update(msg)
		switch msg.(type) {
		case hostRead, guestsRead: // what follows is a tick
		default:
			settle(t, m, next)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no answer")
	}
}

// press presses keys: letters one after another, or a key by the name that
// Bubble Tea has for it.
func press(t *testing.T, m *Model, keys ...string) {
	t.Helper()
	named := map[string]tea.KeyPressMsg{"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape}, "up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown},
		"pgdown": {Code: tea.KeyPgDown}, "end": {Code: tea.KeyEnd}, "home": {Code: tea.KeyHome}, "backspace": {Code: tea.KeyBackspace},
		"ctrl+c": {Code: 'c', Mod: tea.ModCtrl}, "space": {Code: tea.KeySpace, Text: " "}}
	for _, key := range keys {
		presses := []tea.KeyPressMsg{named[key]}
		if _, ok := named[key]; !ok {
			presses = nil
			for _, r := range key {
				presses = append(presses, tea.KeyPressMsg{Code: r, Text: string(r)})
			}
		}
		var cmds []tea.Cmd
		for _, msg := range presses { // faster than any answer
			_, cmd := m.Update(msg)
			cmds = append(cmds, cmd)
		}
		for _, cmd := range cmds {
			settle(t, m, cmd)
		}
	}
}

func TestScreens(t *testing.T) {
	ascii, utf8 := picture.Style{}, picture.Style{UTF8: true}
	for name, row := range map[string]struct {
		style         picture.Style
		width, height int
		keys          []string
		area          string
	}{
		"list":     {utf8, 80, 24, nil, ""},
		"area":     {utf8, 80, 16, nil, "area   16 GiB of CMA, of which 4.5 GiB is free (pages of 1 GiB on demand)"},
		"ascii":    {ascii, 80, 24, []string{"down"}, ""},
		"narrow":   {ascii, 44, 14, nil, ""},
		"tiny":     {ascii, 20, 3, nil, ""},
		"filtered": {ascii, 80, 16, []string{"/", "d"}, ""},
		"confirm":  {ascii, 80, 16, []string{"end", "x"}, ""},
		"details":  {ascii, 80, 16, []string{"enter"}, ""},
		"help":     {ascii, 80, 24, []string{"?"}, ""},
		"colours":  {picture.Style{UTF8: true, Colours: true}, 80, 12, []string{"o"}, ""},
	} {
		m := newModel(t, source(&[]string{}), row.style)
		m.host.Area = row.area
		m.Update(tea.WindowSizeMsg{Width: row.width, Height: row.height})
		press(t, m, row.keys...)
		got := strings.ReplaceAll(m.screen(), "\x1b", "^[") + "\n"
		path := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(path); err != nil || string(want) != got {
			t.Errorf("%s: %v\n%s\nnot\n%s", name, err, got, want)
		}
	}
}

// Whatever the size, no line is too wide and there are not too many.
func TestSizes(t *testing.T) {
	for _, keys := range [][]string{nil, {"/", "w"}, {"?"}, {"s"}, {"enter"}} {
		m := newModel(t, source(&[]string{}), picture.Style{UTF8: true, Colours: true})
		m.host.Area = "area   16 GiB of CMA"
		press(t, m, keys...)
		for width := range 100 {
			for height := range 40 {
				m.Update(tea.WindowSizeMsg{Width: width, Height: height})
				view := m.screen()
				if got := lipgloss.Width(view); got > width || lipgloss.Height(view) > max(1, height) {
					t.Fatalf("%v: %d by %d in %d by %d:\n%s", keys, got, lipgloss.Height(view), width, height, view)
				}
			}
		}
	}
}

// Nothing is done that was not shown and confirmed.
func TestConfirm(t *testing.T) {
	for _, row := range []struct{ keys, did string }{
		{"s", ""}, // db1, the first, runs already
		{"end x", "plan stop web1"},
		{"end x y", "plan stop web1, stop web1"},
		{"end x n", "plan stop web1"},
		{"end x enter", "plan stop web1"},
		{"end x esc y", "plan stop web1"},
		{"down s y", "plan start old1, start old1"},
		{"down x", ""},
		{"down e y", "plan enable old1, enable old1"},
		{"c y", "plan collapse db1, collapse db1"},
		{"down c y", ""},   // it does not run
		{"o o home s", ""}, // by coverage db1 comes first
		{"/ w e b enter x y", "plan stop web1, stop web1"},
		{"/ n o n e enter x", ""},
		{"enter", "details db1"},
		{"? s y", ""},
		{"/web1", ""},             // typed fast
		{"Gxy", "plan stop web1"}, // y before it was shown what for
	} {
		var did []string
		press(t, newModel(t, source(&did), picture.Style{}), strings.Fields(row.keys)...)
		if got := strings.Join(did, ", "); got != row.did {
			t.Errorf("%s: %s, not %s", row.keys, got, row.did)
		}
	}
}

func TestOrder(t *testing.T) {
	m := newModel(t, source(&[]string{}), picture.Style{})
	for _, want := range []string{"db1 old1 web1", "db1 old1 web1", "db1 web1 old1", "db1 old1 web1"} {
		var names []string
		for _, g := range m.shown() {
			names = append(names, g.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("by %s: %s, not %s", m.order, got, want)
		}
		press(t, m, "o")
	}
}

// The selection stays with its guest when the order changes.
func TestSelection(t *testing.T) {
	m := newModel(t, source(&[]string{}), picture.Style{})
	press(t, m, "down", "o", "o")
	if got := m.shown()[m.index(m.shown())].Name; got != "old1" {
		t.Errorf("selected: %s", got)
	}
	m.Update(guestsRead{guests: []Guest{web1}})
	press(t, m, "enter")
	if m.guest.Name != "web1" {
		t.Errorf("once it is gone: %s", m.guest.Name)
	}
}

func TestQuit(t *testing.T) {
	for _, keys := range []string{"q", "ctrl+c", "? ctrl+c", "/ ctrl+c", "end x ctrl+c"} {
		m := newModel(t, source(&[]string{}), picture.Style{})
		press(t, m, strings.Fields(keys)...)
		if m.message != "quit" {
			t.Errorf("%s did not quit", keys)
		}
	}
	m := newModel(t, source(&[]string{}), picture.Style{})
	_, cmd := m.Update(tea.PasteMsg{Content: "q"})
	settle(t, m, cmd)
	if press(t, m, "/q", "space"); m.message == "quit" {
		t.Error("a pasted q quits")
	}
	m.Update(tea.PasteMsg{Content: "\x1b[31m"})
	press(t, m, "backspace")
	if m.filter != "q [31" {
		t.Errorf("filter: %q", m.filter)
	}
}

// What goes wrong is told in a line, and what was known stays.
func TestErrors(t *testing.T) {
	m := newModel(t, source(&[]string{}), picture.Style{})
	m.Update(guestsRead{err: errors.New("libvirt is down; start it")})
	if view := m.screen(); !strings.Contains(view, "\nlibvirt is down; start it\n") || !strings.Contains(view, "web1") {
		t.Error(view)
	}
	m.Update(hostRead{err: errors.New("no pools")})
	if view := m.screen(); !strings.Contains(view, "\nno pools\n") || !strings.Contains(view, "2048") {
		t.Error(view)
	}

	m = newModel(t, source(&[]string{}), picture.Style{})
	m.ask("", details) // never answered
	if press(t, m, "esc", "?"); !strings.Contains(m.screen(), "choose a guest") {
		t.Error(m.screen())
	}
	press(t, m, "esc")
	m.readGuests() // never answered
	for second := range 9 {
		m.Update(hostTick(at.Add(time.Duration(second) * time.Second)))
	}
	if view := m.screen(); !strings.Contains(view, "libvirt has not responded for 8 s") {
		t.Error(view)
	}

	m.Update(guestsRead{err: errors.New("connecting: " + strings.Repeat("no socket ", 9) + "; run as root")})
	if view := m.screen(); !strings.Contains(view, "; run as root\n") {
		t.Errorf("the cure is cut off:\n%s", view)
	}

	bad := source(&[]string{})
	bad.Plan = func(Action, Guest) ([]string, error) { return nil, errors.New("its XML is odd") }
	bad.Do = func(Action, Guest, func(string)) (string, error) { return "", errors.New("no memory") }
	m = newModel(t, bad, picture.Style{})
	press(t, m, "x")
	if view := m.screen(); !strings.Contains(view, "its XML is odd") || m.mode != list {
		t.Error(view)
	}
	m.action, m.guest = Stop, web1
	settle(t, m, m.do())
	if view := m.screen(); !strings.Contains(view, "\nno memory\n") || len(m.busy) > 0 {
		t.Error(view)
	}
}

// While something is done to a guest, it says so, and nothing else is begun.
func TestBusy(t *testing.T) {
	var did []string
	m := newModel(t, source(&did), picture.Style{})
	m.action, m.guest = Stop, db1
	m.do()
	m.Update(progressed{"d", "db1: waiting"})
	if view := m.screen(); !strings.Contains(view, "\ndb1: waiting ...\n") && !strings.Contains(view, "\ndb1: waiting ~\n") {
		t.Error(view)
	}
	press(t, m, "x")
	if len(did) > 0 || m.mode != list {
		t.Errorf("%v", did)
	}
	m.Update(done{uuid: "d", sentence: "db1: shut off"})
	m.Update(progressed{"d", "too late"})
	if view := m.screen(); !strings.Contains(view, "\ndb1: shut off\n") {
		t.Error(view)
	}
}

// A panic ends the view as an error does, wherever it is.
func TestPanic(t *testing.T) {
	bad := source(&[]string{})
	bad.Details = func(Guest) ([]string, error) { panic("oops") }
	m := newModel(t, bad, picture.Style{})
	press(t, m, "enter")
	if m.message != "quit" || m.err == nil || m.err.Error() != "the view stumbled: oops" {
		t.Errorf("%q, %v", m.message, m.err)
	}
	m = newModel(t, source(&[]string{}), picture.Style{})
	m.mode, m.busy = confirming, nil // which can't be written to
	if press(t, m, "y"); m.err == nil {
		t.Error("no error")
	}

	m = newModel(t, source(&[]string{}), picture.Style{})
	sent := make(chan tea.Msg)
	m.send = func(msg tea.Msg) { sent <- msg }
	m.style = nil
	m.screen()
	if msg, ok := (<-sent).(panicked); !ok {
		t.Errorf("%v", msg)
	}
}

// Colours change nothing but colours, and fill up the selected line.
func TestColours(t *testing.T) {
	plain := newModel(t, source(&[]string{}), picture.Style{UTF8: true}).screen()
	coloured := newModel(t, source(&[]string{}), picture.Style{UTF8: true, Colours: true}).screen()
	got := regexp.MustCompile(`\x1b\[[0-9]+m`).ReplaceAllString(coloured, "")
	got = regexp.MustCompile(`(?m)(^> .*?) +$`).ReplaceAllString(got, "$1")
	if got != plain {
		t.Errorf("%s\nnot\n%s", got, plain)
	}
}
