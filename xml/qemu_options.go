package xml

import (
	"encoding/json"
	"fmt"
	"iter"
	"strings"
)

// options are those of <qemu:commandline>, each with its value, which is empty for an option
// without one.
func (d *document) options() iter.Seq2[string, string] {
	return func(yield func(option, value string) bool) {
		option := ""
		for _, el := range d.domain.Arguments {
			arg := el.Value
			if strings.HasPrefix(arg, "-") {
				if option != "" && !yield(option, "") {
					return
				}
				option = "-" + strings.TrimLeft(arg, "-") // QEMU takes --object, too
			} else if option != "" {
				if !yield(option, arg) {
					return
				}
				option = ""
			}
		}
		if option != "" {
			yield(option, "")
		}
	}
}

// driver is the kind of a device, network or object of QEMU's command line; "": it is
// neither.
func driver(option, value string) string {
	if option != "-device" && option != "-netdev" && option != "-object" {
		return ""
	}
	return optionFields(option, value)[firstKeys[option]]
}

// firstKeys are the keys of options whose first field may stand without one.
var firstKeys = map[string]string{"-device": "driver", "-netdev": "type", "-object": "qom-type", "-machine": "type", "-M": "type", "-numa": "type"}

// optionFields are the fields of an option of QEMU's command line, in either form; a comma
// in a value is doubled:
//
//	-device vfio-pci,host=01:00.0
//	-netdev type=vhost-user,id=n,chardev=c
//	-object {"qom-type":"cryptodev-vhost-user","id":"c"}
func optionFields(option, value string) map[string]string {
	fields := map[string]string{}
	var parsed map[string]any
	decoder := json.NewDecoder(strings.NewReader(value))
	decoder.UseNumber()
	if decoder.Decode(&parsed) == nil {
		for key, of := range parsed {
			fields[key] = fmt.Sprint(of)
		}
		return fields
	}
	const comma = "\x00"
	for i, field := range strings.Split(strings.ReplaceAll(value, ",,", comma), ",") {
		key, of, set := strings.Cut(field, "=")
		if !set && i == 0 {
			key, of = firstKeys[option], field
		}
		fields[key] = strings.ReplaceAll(of, comma, ",")
	}
	return fields
}
