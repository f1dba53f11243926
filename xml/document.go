// Package xml reads what memory a libvirt domain XML asks for, and puts the
// guest on huge pages and back by splicing the bytes: whatever is not ours
// stays as it is. Bytes in, bytes out, no I/O.
package xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"vmhuge/internal/advice"
)

// A document is a domain XML: its bytes, where in them the elements that
// matter stand, and the values that libvirt reads from those.
type document struct {
	raw    []byte
	root   *element
	domain domain
}

// broken says why a document cannot be read.
func broken(format string, args ...any) error {
	return advice.New("the domain XML", fmt.Sprintf(format, args...), "")
}

func parse(raw []byte) (*document, error) {
	s, err := scan(raw)
	if err != nil {
		return nil, err
	}
	d := &document{raw: raw}
	err = xml.NewTokenDecoder(s).Decode(&d.domain)
	for err == nil {
		_, err = s.Token()
	}
	if !errors.Is(err, io.EOF) {
		return nil, inOurWords(err)
	}
	d.root = s.root
	return d, nil
}

// scan begins to read a document.
func scan(raw []byte) (*scanner, error) {
	body := bytes.TrimPrefix(raw, []byte("\uFEFF"))
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, broken("is empty")
	}
	if !utf8.Valid(body) {
		return nil, advice.New("the domain XML", "is not UTF-8", "convert it first: xmllint --encode UTF-8 FILE")
	}
	if illegal(body) {
		return nil, broken("has control characters that XML does not allow")
	}
	s := &scanner{raw: raw, base: len(raw) - len(body), dec: xml.NewDecoder(bytes.NewReader(body)), names: map[xml.Name]bool{}}
	// The scanner looks at the declared encoding itself.
	s.dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	return s, nil
}

// inOurWords is the error of a document that can't be read.
func inOurWords(err error) error {
	var (
		told   *advice.Error
		syntax *xml.SyntaxError
		number *strconv.NumError
	)
	switch {
	case errors.As(err, &told):
		return told
	case errors.As(err, &syntax):
		return broken("line %d: %s", syntax.Line, syntax.Msg)
	case errors.As(err, &number):
		return broken("%q is not a number that fits", number.Num)
	}
	return broken("%v", err)
}

// Identity returns the domain's name and UUID, also where Demand refuses. It reads no further than
// to where both are known, which in libvirt's documents is at the top.
func Identity(doc []byte) (name, uuid string, err error) {
	s, err := scan(doc)
	if err != nil {
		return "", "", err
	}
	found := map[string]string{}
	at := ""
	for found["name"] == "" || found["uuid"] == "" || at != "" {
		token, err := s.Token()
		switch t := token.(type) {
		case xml.StartElement:
			at = s.open[len(s.open)-1].element.path
		case xml.CharData:
			found[at] += string(t)
		case xml.EndElement:
			at = ""
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", "", inOurWords(err)
		}
	}
	return found["name"], found["uuid"], nil
}

// illegal tells whether there are characters that XML 1.0 has no place for, even
// where encoding/xml does not look.
func illegal(text []byte) bool {
	for _, b := range text {
		if b < ' ' && b != '\t' && b != '\n' && b != '\r' {
			return true
		}
	}
	return bytes.Contains(text, []byte("\uFFFE")) || bytes.Contains(text, []byte("\uFFFF"))
}
