package qemu

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"vmhuge/internal/pages"
)

// options is the value of one of QEMU's options, in the order it was written.
type options struct {
	implied string // the key of a first value without one
	json    bool
	list    []option
}

type option struct {
	key, value string
	text       string // as it is written
}

// parseOptions reads QEMU's two ways of writing options, of which the second
// is for -object and -device alone:
//
//	memory-backend-file,id=ram0,size=4G,mem-path=/dev/hugepages/a,,b,prealloc
//	{"qom-type":"memory-backend-ram","id":"ram0","size":4294967296,"host-nodes":[0]}
//
// Two commas stand for one in a value; a key alone means on, and with no before
// it off.
func parseOptions(text, implied string) (options, error) {
	o := options{implied: implied}
	if strings.HasPrefix(text, "{") {
		o.json = true
		return o, o.parseJSON(text)
	}
	for i, part := range split(text) {
		key, value, ok := strings.Cut(part, "=")
		switch {
		case ok:
		case i == 0 && implied != "":
			key, value = implied, part
		case strings.HasPrefix(part, "no"):
			key, value = part[2:], "off"
		default:
			key, value = part, "on"
		}
		o.list = append(o.list, option{key, value, escape(part)})
	}
	return o, nil
}

func escape(text string) string { return strings.ReplaceAll(text, ",", ",,") }

// split cuts at single commas.
func split(text string) []string {
	parts := []string{""}
	for i := 0; i < len(text); i++ {
		last := &parts[len(parts)-1]
		switch {
		case text[i] != ',':
			*last += text[i : i+1]
		case i+1 < len(text) && text[i+1] == ',':
			*last += ","
			i++
		default:
			parts = append(parts, "")
		}
	}
	return parts
}

func (o *options) parseJSON(text string) error {
	dec := json.NewDecoder(strings.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		o.list = append(o.list, jsonOption(key.(string), raw))
	}
	if _, err := dec.Token(); err != nil {
		return err
	}
	if dec.More() {
		return errors.New("there is more behind its end")
	}
	return nil
}

func jsonOption(key string, raw json.RawMessage) option {
	name, _ := json.Marshal(key)
	return option{key, jsonText(raw), string(name) + ":" + string(raw)}
}

// jsonText writes a JSON value as it would stand in the other form.
func jsonText(raw json.RawMessage) string {
	var text string
	var list []json.RawMessage
	switch {
	case json.Unmarshal(raw, &text) == nil:
		return text
	case string(raw) == "true":
		return "on"
	case string(raw) == "false":
		return "off"
	case json.Unmarshal(raw, &list) == nil:
		var parts []string
		for _, item := range list {
			parts = append(parts, jsonText(item))
		}
		return strings.Join(parts, ",")
	}
	return string(raw)
}

// get returns the last value of a key, which is the one that counts, "" for
// none.
func (o options) get(key string) string {
	for i := len(o.list) - 1; i >= 0; i-- {
		if o.list[i].key == key {
			return o.list[i].value
		}
	}
	return ""
}

// on reads a boolean; known says whether it is there.
func (o options) on(key string) (on, known bool) {
	switch o.get(key) {
	case "on", "yes", "true", "y":
		return true, true
	case "":
		return false, false
	}
	return false, true
}

// nodes reads host-nodes, which may be given more than once: 0-1, and 3.
func (o options) nodes() (string, error) {
	var lists []string
	for _, item := range o.list {
		if (item.key == "host-nodes" || strings.HasPrefix(item.key, "host-nodes.")) && item.value != "" {
			lists = append(lists, item.value)
		}
	}
	if len(lists) == 0 {
		return "", nil
	}
	nodes, err := pages.ParseNodes(strings.Join(lists, ","))
	return pages.FormatNodes(nodes), err
}

// set changes the value of a key, or adds it. value is a string, an int64 or a
// bool.
func (o *options) set(key string, value any) {
	raw, _ := json.Marshal(value)
	changed := jsonOption(key, raw)
	i := slices.IndexFunc(o.list, func(item option) bool { return item.key == key })
	switch {
	case o.json:
	case key == o.implied && i <= 0:
		changed.text = escape(changed.value)
	default:
		changed.text = escape(key + "=" + changed.value)
	}
	if i < 0 {
		// A comma at the end is none before a key.
		o.list = slices.DeleteFunc(o.list, func(item option) bool { return item.text == "" })
		o.list = append(o.list, changed)
	} else {
		o.list[i] = changed
	}
}

// String writes the options as QEMU reads them.
func (o options) String() string {
	var parts []string
	for _, item := range o.list {
		parts = append(parts, item.text)
	}
	if o.json {
		return "{" + strings.Join(parts, ",") + "}"
	}
	return strings.Join(parts, ",")
}

// parseSize reads an amount of memory as QEMU does: 4G, 1.5g, 512, 0x4000000.
// Without a letter it counts units.
func parseSize(text string, unit int64) (int64, error) {
	bad := fmt.Errorf("%q is not a size", text)
	if hex, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
		n, err := strconv.ParseInt(hex, 16, 64)
		if err != nil || n > math.MaxInt64/unit {
			return 0, bad
		}
		return n * unit, nil
	}
	digits := strings.TrimRight(text, "bkmgtpeBKMGTPE")
	switch letter := strings.ToUpper(text[len(digits):]); {
	case letter == "":
	case len(letter) == 1:
		unit = 1 << (10 * strings.Index("BKMGTPE", letter))
	default:
		return 0, bad
	}
	whole, fraction, hasFraction := strings.Cut(digits, ".")
	n, err := strconv.ParseUint(whole, 10, 62)
	if err != nil || int64(n) > math.MaxInt64/2/unit {
		return 0, bad
	}
	bytes := int64(n) * unit
	if hasFraction {
		part, err := strconv.ParseUint("0"+fraction, 10, 62)
		if err != nil || unit == 1 {
			return 0, bad
		}
		bytes += int64(float64(part)/math.Pow10(len(fraction))*float64(unit) + 0.5)
	}
	return bytes, nil
}
