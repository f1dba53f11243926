package xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Marked says whether a document holds a note of what Rewrite replaced.
func Marked(doc []byte) bool {
	d, err := parseOnce(doc)
	return err == nil && d.root.child("metadata").child(mark) != nil
}

// Same says whether two documents say the same: the same elements with the
// same attributes and text. Comments, white space between elements, the order
// of siblings and of attributes, and the units of memory may differ, and so may
// <currentMemory>, which libvirt adds and keeps at or below <memory>.
func Same(a, b []byte) bool {
	linesA, errA := flatten(a)
	linesB, errB := flatten(b)
	return errA == nil && errB == nil && slices.Equal(linesA, linesB)
}

// flatten lists what a document holds, a line for each element and text, with
// the path to it, sorted.
func flatten(doc []byte) ([]string, error) {
	dec := xml.NewDecoder(bytes.NewReader(doc))
	var path, units, lines []string
	add := func(line string) {
		if at := strings.Join(path, "/"); at != ":domain/:currentMemory" {
			lines = append(lines, at+line)
		}
	}
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			slices.Sort(lines)
			return lines, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			unit := ""
			for _, a := range t.Attr {
				if a.Name == (xml.Name{Local: "unit"}) {
					unit = a.Value
				}
			}
			var attrs []string
			for _, a := range t.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" && a.Name.Local != "unit" {
					attrs = append(attrs, a.Name.Space+":"+a.Name.Local+"="+inKiB(a.Value, unit))
				}
			}
			slices.Sort(attrs)
			path, units = append(path, t.Name.Space+":"+t.Name.Local), append(units, unit)
			add(" " + strings.Join(attrs, " "))
		case xml.EndElement:
			path, units = path[:len(path)-1], units[:len(units)-1]
		case xml.CharData:
			if text := strings.TrimSpace(string(t)); text != "" {
				add("=" + inKiB(text, units[len(units)-1]))
			}
		}
	}
}

// inKiB writes a number with a unit in KiB, as libvirt does when it is given a
// domain, and leaves everything else as it is.
func inKiB(text, unit string) string {
	if n, err := strconv.ParseUint(text, 10, 64); err == nil && unit != "" {
		if n, err := kib(n, unit); err == nil {
			return strconv.FormatInt(n, 10)
		}
	}
	return text
}
