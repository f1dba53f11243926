package xml

import (
	"bytes"
	"encoding/xml"
	"strings"

	"vmhuge/internal/pages"
)

// The mark is one element in <metadata>, which libvirt keeps as it is while it
// rewrites the rest of the document. It holds what Rewrite replaced, so that
// Revert can put it back. A document without a mark in which huge pages are
// ours had none before; that is the usual case, and needs no mark.
const (
	mark      = "metadata/former"
	backedBy  = "backing" // an attribute of the mark: which pages the guest is meant for, if not <hugepages>
	namespace = "urn:vmhuge:1"
)

// A former is the text that stood at a place before Rewrite came.
type former struct {
	At   string `xml:"at,attr"`
	Now  string `xml:"now,attr"`  // what Rewrite made of it; if that changed since, it is the user's
	Unit string `xml:"unit,attr"` // of a number: its unit
	Text string `xml:",chardata"` // "": nothing stood there
}

// formers reads the mark, less what the user changed since. ours: in a document
// without a mark, the huge pages are of Rewrite's making.
func (d *document) formers(ours bool) []former {
	el := d.root.child("metadata").child(mark)
	if el == nil {
		if ours && hasHugepages(&d.domain) {
			return []former{{At: "hugepages"}}
		}
		return nil
	}
	var all struct {
		Was []former `xml:"was"`
	}
	var kept []former
	if xml.Unmarshal(d.raw[el.start:el.end], &all) != nil {
		return nil // cannot be: it was read once already
	}
	for _, was := range all.Was {
		if was.Now == d.state(was.At) {
			kept = append(kept, was)
		}
	}
	return kept
}

// note keeps the text of a place, unless an earlier one is kept already: the
// first is the user's.
func (e *editor) note(at, text, unit string) {
	if e.former(at) == nil {
		e.formers = append(e.formers, former{At: at, Text: text, Unit: unit})
	}
}

func (e *editor) former(at string) *former {
	for i := range e.formers {
		if e.formers[i].At == at {
			return &e.formers[i]
		}
	}
	return nil
}

// writeMark writes the mark where one is needed, and takes it out where not.
func (e *editor) writeMark() {
	el := e.root.child("metadata").child(mark)
	needless := !e.thp && (len(e.formers) == 0 || len(e.formers) == 1 && e.formers[0].At == "hugepages" && e.formers[0].Text == "")
	if needless {
		if el != nil {
			e.fill("metadata", []change{{el: el}})
		}
		return
	}
	e.fill("metadata", []change{{el, func(lead string) string {
		var b strings.Builder
		b.WriteString("<vmhuge:former xmlns:vmhuge='" + namespace + "'")
		if e.thp {
			b.WriteString(" " + backedBy + "='" + string(pages.THP) + "'")
		}
		b.WriteString(">")
		for _, was := range e.formers {
			b.WriteString(e.deeper(lead) + "<vmhuge:was at='" + was.At + "'")
			if now := e.state(was.At); now != "" {
				b.WriteString(" now='" + escape(now) + "'")
			}
			if was.Unit != "" {
				b.WriteString(" unit='" + escape(was.Unit) + "'")
			}
			b.WriteString(">" + escape(was.Text) + "</vmhuge:was>")
		}
		b.WriteString(lead + "</vmhuge:former>")
		return b.String()
	}}})
}

// escape writes line ends as character references too, so that they outlive
// whoever reads and writes the document between us.
func escape(text string) string {
	var b bytes.Buffer
	xml.EscapeText(&b, []byte(text)) // a bytes.Buffer has no errors
	return b.String()
}
