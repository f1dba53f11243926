package top

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"vmhuge/picture"
)

var help = []string{
	"up, down, k, j   choose a guest",
	"Enter            details: why it does not start, what backs its RAM",
	"s                start it: allocates the pages, starts it, verifies its RAM",
	"x                stop it: shuts it down and frees its pages",
	"e                enable it: its XML asks for huge pages from the next start on",
	"c                collapse it: moves its RAM to transparent huge pages while it runs",
	"/                show only guests whose name contains what you type; Esc shows all",
	"o                order by name, RAM, or share on huge pages (lowest first)",
	"q, Ctrl-C        quit, once actions in progress are finished",
	"",
	"s, x, e and c show what they will do, and do it when you press y.",
	"",
	"TOTAL, USED, RESERVED and FREE count pages. RESERVED pages are promised to a",
	"guest that has not touched them yet. BY VMHUGE counts the pages that vmhuge",
	"added; they are freed when their guest stops. HUGE PAGES is the share of a",
	"guest's RAM that is on huge pages, as the kernel reports it to root; ? if unknown.",
}

// View draws the screen, on the terminal's second one: the first comes back at the end.
func (m *Model) View() tea.View {
	view := tea.NewView(m.screen())
	view.AltScreen = true
	return view
}

// screen is never more lines than the terminal has, nor wider ones.
func (m *Model) screen() string {
	defer func() {
		if r := recover(); r != nil {
			go m.send(panicked{stumbled(r)}) // the loop that takes it is who called
		}
	}()
	s := m.style(m.width)
	s.Width = m.width
	if m.width < 1 || m.height < 1 {
		return ""
	}
	if m.width < picture.MinWidth || m.height < 6 {
		return strings.Join(m.tiny(s), "\n")
	}
	message := m.told(s)
	body := m.height - 2 - len(message) // but the title and the keys
	pools := s.Pools(m.host.Pools)
	if m.host.Area != "" {
		pools = append(pools, s.Text(m.host.Area))
	}
	if room := body / 2; len(pools) > room {
		pools = pools[:room]
	}
	pools = append(pools, "")
	lines := append([]string{m.title(s)}, pools...)
	if room := body - len(pools); m.mode == list || m.mode == filtering {
		lines = append(lines, m.guestsAndEvents(s, room)...)
	} else {
		lines = append(lines, m.textBlock(s, room)...)
	}
	for len(lines) < body+1 {
		lines = append(lines, "")
	}
	lines = append(append(lines[:body+1], message...), m.hints(s))
	for i := range lines {
		lines[i] = s.Cut(lines[i], m.width)
	}
	return strings.Join(lines, "\n")
}

// tiny is what a screen shows that has no room for more.
func (m *Model) tiny(s picture.Style) []string {
	lines := []string{s.Cut("vmhuge top: the window is too small", m.width)}
	for _, g := range m.shown() {
		lines = append(lines, s.Cut(s.Text(g.Name)+" "+g.State+" "+g.PercentWords(), m.width))
	}
	return lines[:min(len(lines), m.height)]
}

func (m *Model) title(s picture.Style) string {
	right := m.now.Format(time.TimeOnly)
	if m.filter != "" || m.mode == filtering {
		right = fmt.Sprintf("/%s  %d of %d  %s", s.Text(m.filter), len(m.shown()), len(m.guests), right)
	}
	left := s.Fit(fmt.Sprintf(" vmhuge top  every %v, by %s", m.interval, m.order), m.width-lipgloss.Width(right)-1)
	return s.Paint(picture.Reverse, left+right+" ")
}

// guestsAndEvents divides the room: the guests come first, the events have
// what is left, and a few lines if there is something to tell.
func (m *Model) guestsAndEvents(s picture.Style, room int) []string {
	guests := m.shown()
	events := m.events(s)
	forEvents := min(len(events), max(room/3, room-len(guests)-2))
	if forEvents < 2 { // but a blank
		forEvents = 0
	}
	lines := m.guestLines(s, guests, room-forEvents)
	for len(lines) < room-forEvents {
		lines = append(lines, "")
	}
	return append(lines, events[:forEvents]...)
}

func (m *Model) guestLines(s picture.Style, guests []Guest, room int) []string {
	inner := s
	inner.Width -= 2 // for the mark of the selected one
	pictures := make([]picture.Guest, len(guests))
	for i, g := range guests {
		pictures[i] = g.Guest
		if m.busy[g.UUID] != "" {
			pictures[i].State += " …"
		}
	}
	header, rows := inner.Guests(pictures)
	lines := []string{"  " + header}
	switch {
	case !m.known && m.guestsErr == nil:
		return append(lines, "  "+s.Text("asking libvirt …"))
	case len(m.guests) == 0 && m.guestsErr == nil:
		return append(lines, "  no guests")
	case len(guests) == 0 && m.guestsErr == nil:
		return append(lines, "  no guest's name contains that")
	}
	at := m.index(guests)
	first := max(0, min(at-(room-1)/2, len(rows)-(room-1)))
	for i, row := range rows[first:min(len(rows), first+max(0, room-1))] {
		mark := "  "
		if first+i == at {
			mark, row = "", s.Select(s.Fit("> "+row, m.width))
			if !s.Colours {
				row = strings.TrimRight(row, " ")
			}
		}
		lines = append(lines, mark+row)
	}
	return lines
}

func (m *Model) events(s picture.Style) []string {
	var lines []string
	for _, w := range m.host.Wrong {
		lines = append(lines, s.Paint(picture.Red, s.Cut(s.Text("! "+w), m.width)))
	}
	if len(m.host.Events) > 0 {
		lines = append(lines, s.Rule("hook"))
	}
	for _, e := range m.host.Events {
		lines = append(lines, s.Cut(s.Text(e), m.width))
	}
	if len(lines) == 0 {
		return nil
	}
	return append([]string{""}, lines...)
}

// textBlock is a text in place of the guests, as far as it was scrolled.
func (m *Model) textBlock(s picture.Style, room int) []string {
	title, text := string(m.action)+" "+m.guest.Name+"?", m.text
	switch m.mode {
	case helping:
		title, text = "help", help
	case details:
		title = m.guest.Name
	}
	if m.asking && m.mode != helping {
		text = []string{s.Text("looking …")}
	}
	var lines []string
	for _, line := range text {
		for _, part := range wrap(s.Text(line), m.width-4) {
			lines = append(lines, "  "+part)
		}
	}
	m.offset = min(m.offset, max(0, len(lines)-(room-2)))
	return append([]string{s.Rule(s.Text(title)), ""}, lines[m.offset:min(len(lines), m.offset+max(0, room-2))]...)
}

// told is what is wrong, or being done, or was: a line, or where there is room as
// many as it takes, but not more than three. The cure stands at the end.
func (m *Model) told(s picture.Style) []string {
	text, colour := "", picture.Green
	waiting := m.now.Sub(m.asked)
	switch {
	case len(m.busy) > 0:
		text, colour = strings.Join(slices.Sorted(maps.Values(m.busy)), "; ")+" …", picture.Yellow
	case m.hostErr != nil:
		text, colour = m.hostErr.Error(), picture.Red
	case m.guestsErr != nil:
		text, colour = m.guestsErr.Error(), picture.Red
	case !m.asked.IsZero() && waiting > 2*m.interval && waiting >= time.Second:
		text, colour = fmt.Sprintf("libvirt has not responded for %d s: the guests are shown as of then", int(waiting.Seconds())), picture.Red
	case m.failed:
		text, colour = m.message, picture.Red
	default:
		text = m.message
	}
	lines := wrap(s.Text(text), m.width)
	if m.height < 16 {
		lines = []string{s.Cut(s.Text(text), m.width)}
	}
	lines = lines[:min(len(lines), 3)]
	for i := range lines {
		lines[i] = s.Paint(colour, lines[i])
	}
	return lines
}

// wrap breaks a line where it is too long.
func wrap(line string, width int) []string {
	lines := strings.Split(lipgloss.NewStyle().Width(width).Render(line), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}

func (m *Model) hints(s picture.Style) string {
	text := "Enter details  s start  x stop  e enable  c collapse  / filter  ? help  q quit"
	switch {
	case m.mode == filtering:
		text = "type part of a name  Enter keep the filter  Esc show all"
	case m.mode == confirming && m.asking:
		text = "Esc back"
	case m.mode == confirming:
		text = "y do it  any other key cancels"
	case m.mode == details || m.mode == helping:
		text = "up, down scroll  Esc back"
	case m.width < 80:
		text = "s start  x stop  e enable  ? help"
	}
	return s.Paint(picture.Dim, text)
}
