package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"unicode/utf16"
	"unicode/utf8"

	"vmhuge/internal/advice"
)

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

// marshal leaves < and > legible: diffs of XML are full of them. What a terminal would obey
// is escaped, as JSON alone does only for the controls below 0x20.
func marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	return escapeUnseen(b.Bytes()), err
}

// escapeUnseen writes characters that nobody sees as \u009b. Outside of strings JSON has
// none but white space.
func escapeUnseen(text []byte) []byte {
	var out []byte
	done := 0
	for i, r := range string(text) {
		if r < 0x7f || !unseen(r) {
			continue
		}
		out = append(out, text[done:i]...)
		for _, unit := range utf16.Encode([]rune{r}) {
			out = fmt.Appendf(out, "\\u%04x", unit)
		}
		done = i + utf8.RuneLen(r)
	}
	return append(out, text[done:]...)
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

// jsonError is an error in JSON.
type jsonError struct {
	What string `json:"what"`
	Why  string `json:"why"`
	Do   string `json:"do"`
}

func errorOf(err error) jsonError {
	var told *advice.Error
	switch {
	case !errors.As(err, &told):
		return jsonError{Why: err.Error()}
	case told.Error() != err.Error(): // it is a part of what went wrong
		return jsonError{What: told.What, Why: err.Error(), Do: told.Do}
	}
	return jsonError{told.What, told.Why, told.Do}
}
