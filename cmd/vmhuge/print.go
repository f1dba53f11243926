package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode"

	"vmhuge/picture"
)

// say prints a line of the answer.
func (p *program) say(format string, args ...any) {
	if !p.quiet {
		p.insist(format, args...)
	}
}

// insist prints a line of the answer that --quiet does not keep back: one that
// says what is wrong.
func (p *program) insist(format string, args ...any) {
	if !p.json {
		fmt.Fprintf(p.stdout, format+"\n", args...)
	}
}

// warn prints a line beside the answer.
func (p *program) warn(format string, args ...any) {
	if !p.json {
		fmt.Fprintf(p.stderr, "vmhuge: "+format+"\n", args...)
	}
}

func (p *program) complain(err error) { p.warn("%s", oneLine(err.Error())) }

// oneLine keeps a domain's name or libvirt's words from breaking the line, and
// a terminal from obeying them.
func oneLine(text string) string {
	return harmless(strings.NewReplacer("\n", " ", "\t", " ").Replace(strings.TrimSpace(text)))
}

// harmless takes out what a terminal would obey. XML may hold the controls
// above 0x7f, among them the one that stands for ESC [, and those that turn
// the direction of the text round.
func harmless(line string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return '?'
		}
		return r
	}, line)
}

// printJSON prints the one object of the answer: a map, or a struct, all of
// whose fields are printed.
func (p *program) printJSON(answer any) { p.writeJSON(p.stdout, answer) }

func (p *program) writeJSON(w io.Writer, answer any) {
	text, err := object(answer)
	if err != nil {
		fmt.Fprintln(p.stderr, "vmhuge: writing JSON:", err)
		return
	}
	_, _ = w.Write(text)
}

// object is an answer as JSON with the version of its shape, sorted by the names
// of its fields.
func object(answer any) ([]byte, error) {
	v := reflect.New(reflect.TypeOf(answer)).Elem()
	v.Set(reflect.ValueOf(answer))
	noNulls(v)
	text, err := marshal(v.Interface())
	if err != nil {
		return nil, err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	fields["version"] = json.RawMessage("1")
	return marshal(fields)
}

// marshal leaves < and > legible: diffs of XML are full of them.
func marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	return b.Bytes(), err
}

// noNulls makes every nil slice and map in a settable value an empty one: a list
// in vmhuge's JSON is never null.
func noNulls(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		if v.IsNil() && v.CanSet() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		for i := range v.Len() {
			noNulls(v.Index(i))
		}
	case reflect.Map:
		if v.IsNil() && v.CanSet() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		if v.Type().Elem().Kind() != reflect.Interface {
			return
		}
		for _, key := range v.MapKeys() {
			if held := v.MapIndex(key).Elem(); held.IsValid() {
				settable := reflect.New(held.Type()).Elem()
				settable.Set(held)
				noNulls(settable)
				v.SetMapIndex(key, settable)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				noNulls(v.Field(i))
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			noNulls(v.Elem())
		}
	}
}

// printDiff prints a unified diff, in colours on a terminal.
func (p *program) printDiff(text string) {
	if p.quiet || p.json {
		return
	}
	style := p.style(p.stdout)
	for line := range strings.Lines(text) {
		line = harmless(strings.TrimRight(line, "\r\n"))
		switch {
		case strings.HasPrefix(line, "+"):
			line = style.Paint(picture.Green, line)
		case strings.HasPrefix(line, "-"):
			line = style.Paint(picture.Red, line)
		}
		fmt.Fprintln(p.stdout, line)
	}
}
