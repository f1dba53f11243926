package xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
)

// Marked says whether a document holds a note of what Rewrite replaced.
func Marked(doc []byte) bool {
	d, err := parse(doc)
	return err == nil && d.root.child("metadata").child(mark) != nil
}

// Same says whether two documents say the same: the same elements with the
// same attributes and text. Comments, white space between elements, and the
// order of siblings and of attributes may differ.
func Same(a, b []byte) bool {
	linesA, errA := flatten(a)
	linesB, errB := flatten(b)
	return errA == nil && errB == nil && slices.Equal(linesA, linesB)
}

// flatten lists what a document holds, a line for each element and text, with
// the path to it, sorted.
func flatten(doc []byte) ([]string, error) {
	dec := xml.NewDecoder(bytes.NewReader(doc))
	var path, lines []string
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
			var attrs []string
			for _, a := range t.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
					attrs = append(attrs, a.Name.Space+":"+a.Name.Local+"="+a.Value)
				}
			}
			slices.Sort(attrs)
			path = append(path, t.Name.Space+":"+t.Name.Local)
			lines = append(lines, strings.Join(path, "/")+" "+strings.Join(attrs, " "))
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if text := strings.TrimSpace(string(t)); text != "" {
				lines = append(lines, strings.Join(path, "/")+"="+text)
			}
		}
	}
}
