package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
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

// printJSON prints the one object of the answer.
func (p *program) printJSON(fields map[string]any) { p.writeJSON(p.stdout, fields) }

func (p *program) writeJSON(w io.Writer, fields map[string]any) {
	fields["version"] = 1
	for key, value := range fields {
		v := reflect.New(reflect.TypeOf(value)).Elem()
		v.Set(reflect.ValueOf(value))
		noNulls(v)
		fields[key] = v.Interface()
	}
	text, err := marshal(fields)
	if err != nil {
		fmt.Fprintln(p.stderr, "vmhuge: writing JSON:", err)
		return
	}
	_, _ = w.Write(text)
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

// terminal says whether a stream is one that a person looks at.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// printDiff prints a unified diff, in colours on a terminal.
func (p *program) printDiff(text string) {
	if p.quiet || p.json {
		return
	}
	for line := range strings.Lines(text) {
		code := ""
		switch {
		case strings.HasPrefix(line, "+"):
			code = "32"
		case strings.HasPrefix(line, "-"):
			code = "31"
		}
		line = harmless(strings.TrimRight(line, "\r\n"))
		fmt.Fprintln(p.stdout, p.colour(code, line))
	}
}

// colour writes a text in a terminal's colour; "": in none.
func (p *program) colour(code, text string) string {
	if code == "" || !terminal(p.stdout) || p.noColor || os.Getenv("NO_COLOR") != "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// progress shows on a terminal what takes long, and nothing on a pipe.
// The function that it returns takes the line away.
func (p *program) progress(name string) (report func(step string, done, all int64), clear func()) {
	if !terminal(p.stderr) || p.quiet || p.json {
		return nil, func() {}
	}
	report = func(step string, done, all int64) {
		line := fmt.Sprintf("%s: %s …", oneLine(name), step)
		if all > 0 {
			line = fmt.Sprintf("%s: %s: %.1f of %.1f GiB", oneLine(name), step, gib(done), gib(all))
		}
		fmt.Fprintf(p.stderr, "\r\x1b[K%s", line)
	}
	return report, func() { fmt.Fprint(p.stderr, "\r\x1b[K") }
}

func gib(bytes int64) float64 { return float64(bytes) / (1 << 30) }
