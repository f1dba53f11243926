package xml

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// A writer makes up domain documents that libvirt would read.
type writer struct {
	*rand.Rand
	eol, step string
	b         strings.Builder
}

func (w *writer) one(of ...string) string { return of[w.IntN(len(of))] }

func (w *writer) lead(depth int) {
	if w.IntN(12) == 0 {
		w.b.WriteString(w.one("", " ", w.eol+w.eol, "<!-- <memory>1</memory> & -->", "<?a <hugepages/> ?>", "\t"))
		return
	}
	w.b.WriteString(w.eol + strings.Repeat(w.step, depth))
}

func (w *writer) attrs(attrs ...string) {
	w.Shuffle(len(attrs)/2, func(i, j int) {
		attrs[2*i], attrs[2*j] = attrs[2*j], attrs[2*i]
		attrs[2*i+1], attrs[2*j+1] = attrs[2*j+1], attrs[2*i+1]
	})
	for i := 0; i < len(attrs); i += 2 {
		quote := w.one("'", `"`)
		fmt.Fprintf(&w.b, "%s%s%s=%s%s%s%s", w.one(" ", " ", "  ", "\n"), attrs[i], w.one("", "", " "), w.one("", "", "\t"), quote, attrs[i+1], quote)
	}
	w.b.WriteString(w.one("", "", " "))
}

// el writes an element; a nil inside makes it empty, one way or another.
func (w *writer) el(depth int, name string, attrs []string, inside func()) {
	w.lead(depth)
	w.b.WriteString("<" + name)
	w.attrs(attrs...)
	if inside == nil && w.IntN(3) > 0 {
		w.b.WriteString("/>")
		return
	}
	w.b.WriteString(">")
	if inside != nil {
		inside()
	} else {
		w.b.WriteString(w.one("", w.eol, " "))
	}
	w.b.WriteString("</" + name + w.one("", "", " ") + ">")
}

func (w *writer) text(text string) func() {
	return func() {
		switch w.IntN(8) {
		case 0:
			text = "<![CDATA[" + text + "]]>"
		case 1:
			text = fmt.Sprintf("&#%d;%s", text[0], text[1:])
		case 2:
			text = text[:1] + "<!-- < -->" + text[1:]
		case 3:
			text = " " + text + "\n"
		}
		w.b.WriteString(text)
	}
}

func (w *writer) amount(depth int, name string, attrs ...string) {
	unit := w.one("", "KiB", "MiB", "b", "kb", "M", "GiB", "mb")
	n := map[string]int{"": 65536, "KiB": 65537, "MiB": 65, "b": 1 << 30, "kb": 700001, "M": 4096, "GiB": 3, "mb": 99}[unit] * (1 + w.IntN(3))
	if unit != "" {
		attrs = append(attrs, "unit", unit)
	}
	if name == "cell" {
		w.el(depth, name, append(attrs, "memory", fmt.Sprint(n), "cpus", "0"), nil)
		return
	}
	w.el(depth, name, attrs, w.text(fmt.Sprint(n)))
}

// stranger writes what is not ours, though it looks like it.
func (w *writer) stranger(depth int) {
	inside := w.one("<memoryBacking><hugepages/></memoryBacking>", "<memory>7</memory>", "x &lt; y &#13;", "<![CDATA[<memoryBacking>]]>", "")
	fill := func() { w.b.WriteString(inside) }
	switch w.IntN(5) {
	case 0:
		w.el(depth, "x:memoryBacking", []string{"xmlns:x", "urn:x"}, fill)
	case 1:
		w.el(depth, w.one("memoryBacking", "memory", "hugepages", "cpu"), []string{"xmlns", "urn:y"}, fill)
	case 2:
		w.el(depth, "future", []string{"a", "> <!-- "[:w.IntN(3)]}, fill)
	case 3:
		w.el(depth, "x:domain", []string{"xmlns:x", "urn:x"}, fill)
	case 4:
		w.el(depth, "clock", []string{"offset", "ü&amp;'"[:w.IntN(2)*2]}, nil)
	}
}

func (w *writer) domain() string {
	w.b.WriteString(w.one("", "", "\uFEFF", "<?xml version='1.0' encoding='UTF-8'?>", "<!DOCTYPE domain>", "<!-- x -->\n"))
	cells := max(0, w.IntN(6)-3)
	parts := []func(){
		func() { w.amount(1, "memory") },
		func() { w.el(1, "name", nil, w.text("web1")) },
	}
	maybe := func(part func()) {
		if w.IntN(2) == 0 {
			parts = append(parts, part)
		}
	}
	maybe(func() { w.amount(1, "currentMemory") })
	maybe(func() { w.el(1, "vcpu", []string{"placement", "static"}, w.text("2")) })
	for range w.IntN(4) {
		maybe(func() { w.stranger(1) })
	}
	maybe(func() {
		w.el(1, "metadata", nil, []func(){nil, func() { w.stranger(2); w.lead(1) }}[w.IntN(2)])
	})
	maybe(func() {
		var inside []func()
		add := func(name string, attrs ...string) {
			if w.IntN(3) == 0 {
				inside = append(inside, func() { w.el(2, name, attrs, nil) })
			}
		}
		add("locked")
		add("source", "type", w.one("file", "memfd", "anonymous"))
		add("allocation", "mode", "immediate", "threads", "2")
		add("allocation2")
		add("access", "mode", "shared")
		if w.IntN(3) == 0 {
			inside = append(inside, func() { w.stranger(2) })
		}
		if w.IntN(3) == 0 {
			inside = append(inside, func() {
				w.el(2, "hugepages", nil, []func(){nil, func() {
					w.el(3, "page", []string{"size", w.one("1", "4"), "unit", w.one("GiB", "m", "KiB")}, nil)
					w.lead(2)
				}}[w.IntN(2)])
			})
		}
		if inside == nil {
			w.el(1, "memoryBacking", nil, nil)
			return
		}
		w.el(1, "memoryBacking", nil, func() {
			w.Shuffle(len(inside), func(i, j int) { inside[i], inside[j] = inside[j], inside[i] })
			for _, f := range inside {
				f()
			}
			w.lead(1)
		})
	})
	if cells > 0 {
		parts = append(parts, func() {
			w.el(1, "cpu", []string{"mode", "host-model"}, func() {
				w.el(2, "numa", nil, func() {
					for id := range cells {
						w.amount(3, "cell", "id", fmt.Sprint(id))
					}
				})
			})
		})
	}
	maybe(func() {
		w.el(1, "devices", nil, func() {
			w.stranger(2)
			if cells > 0 {
				w.el(2, "memory", []string{"model", "dimm"}, func() {
					w.el(3, "target", nil, func() { w.amount(4, "size"); w.el(4, "node", nil, w.text("0")) })
				})
			}
		})
	})
	w.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	w.b.WriteString("<domain")
	w.attrs("type", "kvm", "xmlns:qemu", "urn:q")
	w.b.WriteString(">")
	for _, part := range parts {
		part()
	}
	w.lead(0)
	w.b.WriteString("</domain>" + w.one("", w.eol))
	return w.b.String()
}

func TestRandomDocuments(t *testing.T) {
	refused := 0
	const n = 2000
	for seed := range uint64(n) {
		w := &writer{Rand: rand.New(rand.NewPCG(seed, 0))}
		w.eol, w.step = w.one("\n", "\n", "\r\n", "\r", ""), w.one("  ", "\t", "    ", "")
		doc, want := w.domain(), wish(byte(w.Uint32()))
		if _, err := Rewrite([]byte(doc), want); err != nil {
			refused++
		}
		holds(t, []byte(doc), want)
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, doc)
		}
	}
	if refused > n/2 {
		t.Errorf("%d of %d were refused", refused, n)
	}
}
