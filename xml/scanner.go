package xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"sync"

	"vmhuge/internal/advice"
)

// An element is <name …>content</name> between the offsets start, open, close
// and end of the document; in <name …/> the last three are the same.
type element struct {
	path                    string // below <domain>, such as memoryBacking/hugepages
	start, open, close, end int
	children                []*element // those that matter
}

const (
	once = true
	many = false
)

// matters lists the elements that matter, by their path below <domain>. Those
// of once are refused when they stand twice: libvirt would take one, and not
// always the same. Everything else is passed over, whatever it looks like.
var matters = map[string]bool{
	"name": once, "uuid": once, "genid": many, "title": many, "description": many,
	"metadata": once, mark: once,
	"maxMemory": once, "memory": once, "currentMemory": once,
	"memoryBacking": once, "memoryBacking/hugepages": once, "memoryBacking/hugepages/page": many,
	"memoryBacking/source": once, "memoryBacking/allocation": once, "memoryBacking/locked": many, "memoryBacking/access": once,
	"vcpu": once, "numatune": once, "numatune/memory": once, "numatune/memnode": many,
	"cputune": many, "cputune/emulatorpin": many, "resource": many, "resource/partition": many, "seclabel": many, "seclabel/label": many, "seclabel/baselabel": many,
	"os": many, "os/type": many, "features": many, "features/acpi": many,
	"cpu": once, "cpu/numa": once, "cpu/numa/cell": many,
	"devices": many, "devices/memory": many,
	"devices/memory/source": once, "devices/memory/source/pagesize": once, "devices/memory/source/nodemask": once,
	"devices/memory/target": once, "devices/memory/target/size": once, "devices/memory/target/node": once,
	"devices/memory/target/requested": once, "devices/memory/target/block": once, "devices/memory/target/current": once,
	"devices/memory/address": many,
	// For Traits alone:
	"memtune": many, "memtune/hard_limit": many, "memtune/soft_limit": many, "devices/hostdev": many, "devices/interface": many, "devices/disk": many,
	"devices/filesystem": many, "devices/filesystem/driver": many, "devices/memballoon": many,
	"devices/disk/backingStore": many, "devices/disk/backingStore/backingStore": many,
	"devices/video": many, "devices/video/driver": many, "devices/video/model": many,
	// For Cautions alone:
	"hugepages": many, "launchSecurity": many, "commandline": many, "commandline/arg": many,
}

// foreign lists those that have a namespace of their own; all others have none.
var foreign = map[string]string{mark: namespace, "commandline": qemuNamespace, "commandline/arg": qemuNamespace}

// qemuNamespace is that of <qemu:commandline>, arguments that libvirt hands to
// QEMU as they are.
const qemuNamespace = "http://libvirt.org/schemas/domain/qemu/1.0"

// The depth at which libxml2, and so libvirt, stops too.
const deepest = 256

// A scanner passes the tokens of the elements that matter to libvirtxml, notes
// where they stand, and refuses what encoding/xml lets through in raw tokens
// though libvirt does not.
type scanner struct {
	raw   []byte
	base  int // length of the byte order mark
	dec   *xml.Decoder
	root  *element
	open  []frame
	typed bool              // a DOCTYPE went by
	space map[string]string // namespaces that <domain> declares, by prefix
	names map[xml.Name]bool // attributes of the element in hand
}

// A frame is an element that is not closed yet.
type frame struct {
	name      xml.Name
	namespace string   // default namespace in scope
	own       string   // namespace of the element
	element   *element // nil: does not matter
}

// Token implements xml.TokenReader.
func (s *scanner) Token() (xml.Token, error) {
	for {
		start := s.offset()
		token, err := s.dec.RawToken()
		if errors.Is(err, io.EOF) && (s.root == nil || len(s.open) > 0) {
			return nil, broken("is cut off before </domain>")
		}
		if err != nil {
			return nil, err
		}
		var in *element // what the token belongs to
		switch t := token.(type) {
		case xml.StartElement:
			in, err = s.start(&t, start)
			token = t
		case xml.EndElement:
			in, err = s.end(t, start)
		case xml.CharData:
			if len(s.open) > 0 {
				in = s.open[len(s.open)-1].element
			} else if len(bytes.Trim(s.raw[start:s.offset()], blank)) > 0 {
				err = broken("has text outside of <domain>")
			}
		case xml.ProcInst:
			err = s.instruction(t, start)
		case xml.Directive:
			err = s.doctype(t)
		}
		if err != nil {
			return nil, err // with a token the decoder would overlook it
		}
		if in != nil && !aside(in.path) {
			return token, nil
		}
	}
}

func (s *scanner) offset() int { return s.base + int(s.dec.InputOffset()) }

// start opens an element, and leaves in t the attributes that libvirt reads.
func (s *scanner) start(t *xml.StartElement, start int) (*element, error) {
	f, parent := frame{name: t.Name}, frame{}
	if len(s.open) > 0 {
		parent = s.open[len(s.open)-1]
		f.namespace = parent.namespace
	}
	own, kept := s.space[t.Name.Space], t.Attr[:0] // own: the element's namespace, as far as itself, its parent or <domain> declares its prefix
	if len(s.open) > 0 && parent.name.Space == t.Name.Space {
		own = parent.own
	}
	if !s.distinct(t.Attr) {
		return nil, broken("<%s> has an attribute twice", t.Name.Local)
	}
	for _, attr := range t.Attr {
		switch attr.Name.Space {
		case "":
			if attr.Name.Local == "xmlns" {
				f.namespace = attr.Value
			}
			kept = append(kept, attr)
		case "xmlns":
			if attr.Name.Local == t.Name.Space {
				own = attr.Value
			}
			if s.root == nil {
				if s.space == nil {
					s.space = map[string]string{}
				}
				s.space[attr.Name.Local] = attr.Value
			}
		}
	}
	t.Attr = kept
	if t.Name.Space == "" {
		own = f.namespace
	}
	f.own = own
	plain := t.Name.Space == "" && own == ""
	el := &element{start: start, open: s.offset()}
	if len(s.names) > 1 && !spaced(s.raw[el.start:el.open]) {
		return nil, broken("<%s> has two attributes without a space between them", t.Name.Local)
	}
	switch {
	case len(s.open) == deepest:
		return nil, broken("has elements more than %d deep", deepest)
	case len(s.open) == 0 && s.root != nil:
		return nil, broken("has a second root, <%s>", t.Name.Local)
	case len(s.open) == 0:
		if t.Name.Local == "domain" && !plain { // libvirt finds nothing in it: XPath's ./name has no namespace
			return nil, broken("has its <domain> in the namespace %q, and libvirt reads none but those without: take out its xmlns", own)
		}
		if t.Name.Local != "domain" {
			return nil, broken("is not a domain: its root is <%s>", t.Name.Local)
		}
		s.root, f.element = el, el
	case parent.element != nil:
		el.path = strings.TrimPrefix(parent.element.path+"/"+t.Name.Local, "/")
		single, known := matters[el.path]
		if space := foreign[el.path]; space != "" {
			plain = own == space
		}
		if !known || !plain {
			break
		}
		if single && parent.element.child(el.path) != nil {
			return nil, broken("has <%s> twice", t.Name.Local)
		}
		parent.element.children = append(parent.element.children, el)
		f.element = el
	}
	s.open = append(s.open, f)
	return f.element, nil
}

func (s *scanner) distinct(attrs []xml.Attr) bool {
	clear(s.names)
	for _, attr := range attrs {
		s.names[attr.Name] = true
	}
	return len(s.names) == len(attrs)
}

func (s *scanner) end(t xml.EndElement, start int) (*element, error) {
	if len(s.open) == 0 {
		return nil, broken("has </%s> without <%s>", t.Name.Local, t.Name.Local)
	}
	f := s.open[len(s.open)-1]
	if f.name != t.Name {
		return nil, broken("has </%s> where <%s> is open", t.Name.Local, f.name.Local)
	}
	s.open = s.open[:len(s.open)-1]
	if f.element != nil {
		f.element.close, f.element.end = start, s.offset()
	}
	return f.element, nil
}

// Compiled when they are needed, which is seldom: the hook has no time for it.
var (
	declaration = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^version\s*=\s*["']1\.\d["'](\s+encoding\s*=\s*["']([\w.-]+)["'])?(\s+standalone\s*=\s*["'](yes|no)["'])?\s*$`)
	})
	plainType = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^DOCTYPE\s+[A-Za-z_:][\w.:-]*(\s+(SYSTEM|PUBLIC\s+("[^"]*"|'[^']*'))\s+("[^"]*"|'[^']*'))?\s*$`)
	})
)

// instruction looks at <?xml version='1.0' encoding='UTF-8'?>.
func (s *scanner) instruction(t xml.ProcInst, start int) error {
	rest := s.raw[start+len("<?")+len(t.Target):]
	if !bytes.HasPrefix(rest, []byte("?>")) && !bytes.ContainsAny(rest[:1], blank) {
		return broken("has <?%s without a space behind it", t.Target)
	}
	if !strings.EqualFold(t.Target, "xml") {
		return nil
	}
	parts := declaration().FindSubmatch(t.Inst)
	if start != s.base || t.Target != "xml" || parts == nil {
		return broken("has a declaration <?xml?> that is wrong or not at its start")
	}
	if label := string(parts[2]); label != "" && !strings.EqualFold(label, "UTF-8") && !strings.EqualFold(label, "US-ASCII") {
		return broken("is in %s, not in UTF-8", label)
	}
	return nil
}

// doctype lets a plain <!DOCTYPE domain> pass. One with declarations of its own
// could give any element another meaning, and libvirt never writes one.
func (s *scanner) doctype(t xml.Directive) error {
	if s.root != nil || s.typed {
		return broken("has <!%.20s> where XML does not allow it", t)
	}
	s.typed = true
	if !plainType().Match(t) {
		return advice.New("the domain XML", "has a DOCTYPE with declarations", "resolve them with xmllint --noent --dropdtd")
	}
	return nil
}

const blank = " \t\r\n"

// spaced tells whether white space parts the attributes of a tag.
func spaced(tag []byte) bool {
	for {
		i := bytes.IndexAny(tag, `"'`)
		if i < 0 {
			return true
		}
		tag = tag[i+2+bytes.IndexByte(tag[i+1:], tag[i]):]
		if !bytes.ContainsAny(tag[:1], blank+"/>") {
			return false
		}
	}
}

// child returns the first child of that path; nil: there is none.
func (e *element) child(path string) *element {
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if c.path == path {
			return c
		}
	}
	return nil
}

// all returns every descendant of that path, in document order.
func (e *element) all(path string) []*element {
	var found []*element
	for _, c := range e.children {
		if c.path == path {
			found = append(found, c)
		} else if strings.HasPrefix(path, c.path+"/") {
			found = append(found, c.all(path)...)
		}
	}
	return found
}
