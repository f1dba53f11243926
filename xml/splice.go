package xml

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"vmhuge/internal/pages"
)

// An editor collects the changes to a document. The document's values are
// changed along, so that they can be read as they will be.
type editor struct {
	*document
	thp     bool         // the guest is put on transparent huge pages
	policy  policy       // what the mark is to say of its pages
	have    []pages.Size // of huge pages that the host's kernel has; nil: not known
	formers []former
	edits   []edit
}

// An edit puts text in the place of the bytes from start to end.
type edit struct {
	start, end int
	text       string
}

// A change is what becomes of a child: its new text for the white space that
// stands before it, added if el is nil; or taken out if text is nil.
type change struct {
	el   *element
	text func(lead string) string
}

func verbatim(text string) func(string) string {
	return func(string) string { return text }
}

func (e *editor) replace(start, end int, text string) {
	e.edits = append(e.edits, edit{start, end, text})
}

// bytes returns the document with all changes made.
func (e *editor) bytes() []byte {
	slices.SortStableFunc(e.edits, func(a, b edit) int { return cmp.Or(a.start-b.start, a.end-b.end) })
	var out bytes.Buffer
	at := 0
	for _, c := range e.edits {
		out.Write(e.raw[at:c.start])
		out.WriteString(c.text)
		at = c.end
	}
	out.Write(e.raw[at:])
	return out.Bytes()
}

// The children of <domain> that Rewrite may have to make, and those behind which
// libvirt writes them. It reads them in any order.
var behind = map[string][]string{
	"metadata":      {"name", "uuid", "genid", "title", "description"},
	"memoryBacking": {"maxMemory", "memory", "currentMemory"},
}

// fill changes children of <memoryBacking> or <metadata>. Where that is missing
// it is made, and where only white space would be left in it, it goes back to
// what it was.
//
// What is added comes first in its parent, behind a copy of the white space
// around: so taking out a child with all white space before it undoes exactly
// that.
func (e *editor) fill(name string, changes []change) {
	parent := e.root.child(name)
	if parent == nil {
		at, lead := e.place(name)
		if text := e.added(changes, e.deeper(lead)); text != "" {
			e.replace(at, at, lead+"<"+name+">"+text+lead+"</"+name+">")
		}
		return
	}
	inner := string(e.raw[parent.open:parent.close])
	left, adds := inner, false
	for _, c := range changes {
		if adds = adds || c.text != nil; c.el != nil && !adds {
			left = strings.Replace(left, e.text(c.el), "", 1)
		}
	}
	if !adds && strings.Trim(left, blank) == "" {
		if was := e.former(name); was != nil {
			e.replace(parent.start, parent.end, was.Text)
		} else {
			e.replace(e.before(parent.start), parent.end, "")
		}
		return
	}
	for _, c := range changes {
		switch {
		case c.el != nil && c.text != nil:
			e.replace(c.el.start, c.el.end, c.text(e.lead(c.el.start)))
		case c.el != nil:
			e.replace(e.before(c.el.start), c.el.end, "")
		}
	}
	if strings.Trim(inner, blank) == "" {
		e.note(former{At: name, Text: e.text(parent)})
	}
	text, outer := e.added(changes, e.childLead(parent)), e.lead(parent.start)
	switch {
	case text == "":
	case parent.open == parent.end: // <name/>
		e.replace(parent.open-len("/>"), parent.open, ">"+text+outer+"</"+name+">")
	case inner == "":
		e.replace(parent.open, parent.open, text+outer)
	default:
		e.replace(parent.open, parent.open, text)
	}
}

// added returns the text of the children that are new.
func (e *editor) added(changes []change, lead string) string {
	text := ""
	for _, c := range changes {
		if c.el == nil && c.text != nil {
			text += lead + c.text(lead)
		}
	}
	return text
}

// place returns where a new child of <domain> goes: behind the last of those
// that precede it, or else first.
func (d *document) place(name string) (at int, lead string) {
	at, lead = d.root.open, d.childLead(d.root)
	for _, c := range d.root.children {
		if slices.Contains(behind[name], c.path) {
			at, lead = c.end, d.lead(c.start)
		}
	}
	return at, lead
}

func (d *document) text(el *element) string {
	if el == nil {
		return ""
	}
	return string(d.raw[el.start:el.end])
}

// before returns where the white space before an offset begins.
func (d *document) before(at int) int {
	return len(bytes.TrimRight(d.raw[:at], blank))
}

// lead returns the line end and the indentation before an offset; "" where
// other things stand in the line.
func (d *document) lead(at int) string {
	return lastLine(string(d.raw[d.before(at):at]))
}

// childLead returns what stands, or would stand, before the first child.
func (d *document) childLead(el *element) string {
	inner := d.raw[el.open:el.close]
	space := inner[:len(inner)-len(bytes.TrimLeft(inner, blank))]
	if len(space) == len(inner) && el != d.root { // deeper asks about the root
		return d.deeper(d.lead(el.start))
	}
	return lastLine(string(space))
}

// deeper returns the lead of a child by that of its parent.
func (d *document) deeper(lead string) string {
	if lead == "" {
		return ""
	}
	outer := strings.TrimLeft(d.lead(d.root.start), "\r\n")
	inner := strings.TrimLeft(d.childLead(d.root), "\r\n")
	if step, ok := strings.CutPrefix(inner, outer); ok && step != "" {
		return lead + step
	}
	return lead + "  "
}

// lastLine returns the last line of white space, with the line end before it.
func lastLine(space string) string {
	i := strings.LastIndexAny(space, "\r\n")
	if i < 0 {
		return ""
	}
	if i > 0 && space[i-1:i+1] == "\r\n" {
		i--
	}
	return space[i:]
}
