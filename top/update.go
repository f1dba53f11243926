package top

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
)

type (
	hostTick   time.Time
	guestsTick struct {
		time.Time
		read int // the reading that it follows
	}

	hostRead struct {
		host Host
		err  error
	}
	guestsRead struct {
		guests []Guest
		err    error
	}
	textRead struct { // of a plan or of details
		action Action // "": details
		uuid   string
		lines  []string
		err    error
	}
	progressed struct{ uuid, step string }
	done       struct {
		uuid, sentence string
		err            error
	}
	panicked struct{ err error }
)

// Init asks for everything.
func (m *Model) Init() tea.Cmd { return tea.Batch(m.readHost(), m.readGuests()) }

func (m *Model) readHost() tea.Cmd {
	return safely(func() tea.Msg {
		host, err := m.source.Host()
		return hostRead{host, err}
	})
}

func (m *Model) readGuests() tea.Cmd {
	m.asked = m.now
	m.reads++
	return safely(func() tea.Msg {
		guests, err := m.source.Guests()
		return guestsRead{guests, err}
	})
}

// safely makes an error of a panic beside the loop, so that the terminal is
// given back in order.
func safely(do func() tea.Msg) tea.Cmd {
	return func() (msg tea.Msg) {
		defer func() {
			if r := recover(); r != nil {
				msg = panicked{stumbled(r)}
			}
		}()
		return do()
	}
}

func stumbled(over any) error { return fmt.Errorf("the view stumbled: %v", over) }

// Update takes in what happened.
func (m *Model) Update(msg tea.Msg) (model tea.Model, cmd tea.Cmd) {
	defer func() {
		if r := recover(); r != nil {
			m.err = stumbled(r)
			model, cmd = m, tea.Quit
		}
	}()
	return m, m.update(msg)
}

func (m *Model) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m.key(msg)
	case tea.PasteMsg: // only the filter takes it: no key that acts may come that way
		if m.mode == filtering {
			m.addToFilter(msg.Content)
		}
	case hostTick:
		m.now = time.Time(msg)
		return m.readHost()
	case guestsTick:
		m.now = msg.Time
		if msg.read == m.reads {
			return m.readGuests()
		}
	case hostRead:
		m.hostErr = msg.err
		if msg.err == nil {
			m.host = msg.host
		}
		return tea.Tick(m.interval, func(t time.Time) tea.Msg { return hostTick(t) })
	case guestsRead:
		m.asked, m.guestsErr = time.Time{}, msg.err
		if msg.err == nil {
			m.guests, m.known = msg.guests, true
		}
		read := m.reads
		return tea.Tick(m.interval, func(t time.Time) tea.Msg { return guestsTick{t, read} })
	case textRead:
		m.read(msg)
	case progressed:
		if _, still := m.busy[msg.uuid]; still {
			m.busy[msg.uuid] = msg.step
		}
	case done:
		delete(m.busy, msg.uuid)
		m.message, m.failed = msg.sentence, false
		if msg.err != nil {
			m.message, m.failed = msg.err.Error(), true
		}
		if m.asked.IsZero() { // at once, not at the next tick
			return m.readGuests()
		}
	case panicked:
		m.err = msg.err
		return tea.Quit
	}
	return nil
}

// read takes in a text, unless the user has gone on since.
func (m *Model) read(msg textRead) {
	wanted := (m.mode == details && msg.action == "") || (m.mode == confirming && msg.action == m.action)
	if !wanted || msg.uuid != m.guest.UUID {
		return
	}
	m.asking, m.text = false, msg.lines
	if msg.err != nil { // nothing to be confirmed
		m.message, m.failed, m.mode = msg.err.Error(), true, list
	}
}

func (m *Model) key(key tea.KeyPressMsg) tea.Cmd {
	switch key.String() {
	case "ctrl+c":
		return tea.Quit
	case "ctrl+z":
		return tea.Suspend
	}
	switch m.mode {
	case filtering:
		m.typeFilter(key)
		return nil
	case confirming:
		if key.String() == "y" && !m.asking {
			return m.do()
		}
		if !m.scroll(key) {
			m.mode = list
		}
		return nil
	case details, helping:
		switch key.String() {
		case "q", "esc", "enter", "?":
			m.mode = list
		default:
			m.scroll(key)
		}
		return nil
	}
	return m.command(key)
}

// command is a key in the list of the guests.
func (m *Model) command(key tea.KeyPressMsg) tea.Cmd {
	switch key.String() {
	case "q":
		return tea.Quit
	case "?":
		m.mode, m.offset = helping, 0
	case "/":
		m.mode = filtering
	case "esc":
		m.filter, m.message = "", ""
	case "o":
		m.order = map[order]order{byName: byRAM, byRAM: byCoverage, byCoverage: byName}[m.order]
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup":
		m.move(-10)
	case "pgdown":
		m.move(10)
	case "home", "g":
		m.move(-len(m.guests))
	case "end", "G":
		m.move(len(m.guests))
	case "enter":
		return m.ask("", details)
	case "s":
		return m.ask(Start, confirming)
	case "x":
		return m.ask(Stop, confirming)
	case "e":
		return m.ask(Enable, confirming)
	case "c":
		return m.ask(Collapse, confirming)
	}
	return nil
}

func (m *Model) move(by int) {
	if guests := m.shown(); len(guests) > 0 {
		m.selected = guests[min(max(0, m.index(guests)+by), len(guests)-1)].UUID
	}
}

// scroll moves the text, if that is what the key is for.
func (m *Model) scroll(key tea.KeyPressMsg) bool {
	by, ok := map[string]int{"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -10, "pgdown": 10, "space": 10}[key.String()]
	m.offset = max(0, m.offset+by) // the view knows where it ends
	return ok
}

func (m *Model) typeFilter(key tea.KeyPressMsg) {
	switch key.String() {
	case "enter":
		m.mode = list
	case "esc":
		m.mode, m.filter = list, ""
	case "backspace":
		if runes := []rune(m.filter); len(runes) > 0 {
			m.filter = string(runes[:len(runes)-1])
		}
	default:
		m.addToFilter(key.Text)
	}
}

func (m *Model) addToFilter(text string) {
	m.filter += strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}

// ask gets the text about the selected guest: of an action what it would do.
func (m *Model) ask(action Action, mode mode) tea.Cmd {
	guests := m.shown()
	if len(guests) == 0 {
		return nil
	}
	g := guests[m.index(guests)]
	m.message = ""
	switch busy := m.busy[g.UUID]; {
	case action != "" && busy != "":
		m.message, m.failed = busy+": wait until that is done", true
		return nil
	case action == Start && g.Active:
		m.message = g.Name + " runs already"
		return nil
	case (action == Stop || action == Collapse) && !g.Active:
		m.message = g.Name + " does not run"
		return nil
	}
	m.mode, m.action, m.guest, m.text, m.asking, m.offset = mode, action, g, nil, true, 0
	return safely(func() tea.Msg {
		read := textRead{action: action, uuid: g.UUID}
		if action == "" {
			read.lines, read.err = m.source.Details(g)
		} else {
			read.lines, read.err = m.source.Plan(action, g)
		}
		return read
	})
}

// do does what was confirmed.
func (m *Model) do() tea.Cmd {
	action, g := m.action, m.guest
	m.mode = list
	m.busy[g.UUID] = g.Name + ": " + string(action)
	return safely(func() tea.Msg {
		sentence, err := m.source.Do(action, g, func(step string) { m.send(progressed{g.UUID, g.Name + ": " + step}) })
		return done{g.UUID, sentence, err}
	})
}
