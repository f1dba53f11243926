package xml

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"

	"vmhuge/internal/pages"
)

// The mark is one element in <metadata>, which libvirt keeps as it is while it
// rewrites the rest of the document. For each place that Rewrite changed it has
// what stood there before, so that Revert puts that back and takes out nothing
// else, whatever else Rewrite was asked for in between:
//
//	<vmhuge:former xmlns:vmhuge='urn:vmhuge:1'>
//	  <vmhuge:was at='hugepages'/>                     nothing stood there
//	  <vmhuge:was at='memory' now='65536' unit='MiB'>63</vmhuge:was>
//	</vmhuge:former>
//
// Early versions left out the mark if <hugepages> was all that they had added.
const (
	mark      = "metadata/former"
	backedBy  = "backing"        // an attribute of the mark: which pages the guest is meant for, if not <hugepages>
	keptFor   = "keep"           // an attribute: how long its pages stay for it once it has ended
	growthFor = "reserve-growth" // an attribute: by how much it may grow on pages that are reserved for that
	ifShort   = "if-short"       // an attribute: what it is started on where the host has too few of its pages
	atLeast   = "at-least"       // an attribute: how much of its RAM transparent huge pages must back, 95%
	namespace = "urn:vmhuge:1"
)

// A policy is what the mark says of a guest's pages beside what was changed.
type policy struct {
	keep    pages.Keep
	ifShort pages.IfShort
	growth  int64   // KiB by which it may grow on pages that are reserved for that
	atLeast float64 // percent of the RAM in use that transparent huge pages must back
}

// policy reads the mark; what can't be read says nothing.
func (d *document) policy() (p policy) {
	el := d.root.child("metadata").child(mark)
	if el == nil {
		return p
	}
	if keep, err := pages.ParseKeep(d.value(el, keptFor)); err == nil {
		p.keep = keep
	}
	if other, err := pages.ParseIfShort(d.value(el, ifShort)); err == nil {
		p.ifShort = other
	}
	if percent, err := pages.ParsePercent(d.value(el, atLeast)); err == nil {
		p.atLeast = percent
	}
	if bytes, err := pages.ParseBytes(d.value(el, growthFor)); err == nil {
		p.growth = bytes / pages.KiB
	}
	return p
}

// A former is the text that stood at a place before Rewrite came.
type former struct {
	At   string `xml:"at,attr"`
	Now  string `xml:"now,attr"`  // what Rewrite made of it; if that changed since, it is the user's
	Unit string `xml:"unit,attr"` // of a number: its unit
	// Behind is the attribute that an attribute stood behind; "": behind none.
	Behind string `xml:"behind,attr"`
	Text   string `xml:",chardata"` // "": nothing stood there
}

// formers reads the mark, less what the user changed since. ours: the huge pages
// of a document without a mark are of Rewrite's making.
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
		again := strings.Contains(was.Text, "<access") && d.root.child("memoryBacking").child("memoryBacking/access") != nil
		if was.Now == d.state(was.At) && !again {
			kept = append(kept, was)
		}
	}
	return kept
}

// note keeps what stood at a place, unless an earlier note has it: the first is
// the user's.
func (e *editor) note(was former) {
	if e.former(was.At) == nil {
		e.formers = append(e.formers, was)
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
	// Without a mark, <hugepages> of the user's own would be taken for ours beside our copy of
	// the former XML: one that had a policy stays.
	if none := (policy{}); !e.thp && len(e.formers) == 0 && e.policy == none && e.document.policy() == none {
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
		if e.policy.keep != 0 {
			b.WriteString(" " + keptFor + "='" + e.policy.keep.String() + "'")
		}
		if e.policy.ifShort != 0 {
			b.WriteString(" " + ifShort + "='" + e.policy.ifShort.String() + "'")
		}
		if e.policy.growth != 0 {
			b.WriteString(fmt.Sprintf(" %s='%dK'", growthFor, e.policy.growth))
		}
		if e.policy.atLeast != 0 {
			b.WriteString(fmt.Sprintf(" %s='%g%%'", atLeast, e.policy.atLeast))
		}
		b.WriteString(">")
		for _, was := range e.formers {
			b.WriteString(e.deeper(lead) + "<vmhuge:was")
			attr := func(name, value string) {
				if value != "" {
					b.WriteString(" " + name + "='" + escape(value) + "'")
				}
			}
			attr("at", was.At)
			attr("now", e.state(was.At))
			attr("unit", was.Unit)
			attr("behind", was.Behind)
			if was.Text == "" {
				b.WriteString("/>")
			} else {
				b.WriteString(">" + escape(was.Text) + "</vmhuge:was>")
			}
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
