package libvirtd

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/internal/advice"
)

// cacheKey is what this package keeps with host.Once.
type cacheKey string

// QEMUConf is what vmhuge needs of libvirt's qemu.conf.
type QEMUConf struct {
	User, Group string // whom QEMU runs as; "": not set
	// HugetlbfsMounts are the mounts that libvirt may use. nil: not set, libvirt uses
	// every hugetlbfs that is mounted when it starts. Empty: none.
	HugetlbfsMounts []string
	SecurityDrivers []string // nil: not set, libvirt uses the one that is active in the kernel
	// DeviceACL are the devices below /dev that QEMU may have. nil: not set, libvirt's own list.
	DeviceACL    []string
	SharesMounts bool // QEMU gets no mount namespace of its own, and so the host's /dev
}

// QEMUConfPath is the file of the system driver.
func QEMUConfPath(h host.Host) string { return h.Root.Libvirt().ConfDir() + "/qemu.conf" }

// ChangeConf is where to make a change of a qemu.conf, "" the system driver's, and how to have the
// daemon read it: the words behind "change it in".
func ChangeConf(h host.Host, path string) string {
	path = cmp.Or(path, QEMUConfPath(h))
	if nixOS, err := h.NixOS(); err == nil && nixOS && path == QEMUConfPath(h) {
		return "virtualisation.libvirtd.qemu.verbatimConfig, as NixOS makes " + path + " from that, and nixos-rebuild switch"
	}
	return path + ", and restart " + Name(h)
}

// ReadQEMUConf reads a qemu.conf; "" is the system driver's. If the file does not exist,
// all values are the defaults.
func ReadQEMUConf(h host.Host, path string) (QEMUConf, error) {
	if path == "" {
		path = QEMUConfPath(h)
	}
	return host.Once(h, cacheKey(path), func() (QEMUConf, error) { return loadQEMUConf(h, path) })
}

func loadQEMUConf(h host.Host, path string) (QEMUConf, error) {
	text, err := h.Root.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return QEMUConf{}, nil
	}
	if err != nil {
		return QEMUConf{}, err
	}
	conf, err := ParseQEMUConf(text)
	if err != nil {
		err = &advice.Error{What: path, Why: err.Error(), Do: "correct that line: libvirt's QEMU driver does not start with it", Err: ErrConf}
	}
	return conf, err
}

// ErrConf is a qemu.conf that libvirt refuses. A daemon that runs has read what was in it
// before.
var ErrConf = errors.New("libvirt refuses qemu.conf")

// ParseQEMUConf picks the settings that vmhuge needs. If a name occurs twice, libvirt uses
// the first: virConfGetValue().
func ParseQEMUConf(text string) (QEMUConf, error) {
	var conf QEMUConf
	settings, err := parseConf(text)
	if err != nil {
		return conf, err
	}
	seen := map[string]bool{}
	for _, s := range settings {
		if seen[s.name] {
			continue
		}
		seen[s.name] = true
		wants := "a string or a list of strings"
		switch s.name {
		case "hugetlbfs_mount":
			conf.HugetlbfsMounts = s.values
		case "security_driver":
			conf.SecurityDrivers = s.values
		case "cgroup_device_acl":
			conf.DeviceACL, wants = s.values, "a list of strings"
		case "namespaces":
			conf.SharesMounts, wants = !slices.Contains(s.values, "mount"), "a list of strings"
		case "user":
			conf.User, wants = s.first(), "a string"
		case "group":
			conf.Group, wants = s.first(), "a string"
		default:
			continue
		}
		if s.number || s.list && wants == "a string" || !s.list && wants == "a list of strings" {
			return conf, fmt.Errorf("line %d: libvirt expects %s as %s", 1+strings.Count(text[:s.start], "\n"), wants, s.name)
		}
	}
	return conf, nil
}

// confSetting is one name = value of libvirt's configuration syntax.
type confSetting struct {
	name       string
	values     []string // of a string or number: one
	list       bool
	number     bool // a number, or a list with one
	start, end int  // bytes of the whole, and
	value      int  // where the value starts
}

// first is the value, or the first of the list; "" of an empty one.
func (s confSetting) first() string { return append(s.values, "")[0] }

// parseConf reads libvirt's configuration syntax, of which this is all:
//
//	user = "libvirt-qemu"   # a string; also 'so' and """over lines"""
//	hugetlbfs_mount = ["/dev/hugepages", "/dev/hugepages1G"]
//
// Values are strings, whole numbers, and lists of strings, which may go over
// several lines. Source: virConfParse() in src/util/virconf.c.
func parseConf(text string) ([]confSetting, error) {
	var settings []confSetting
	p := &confParser{rest: text, line: 1}
	at := func() int { return len(text) - len(p.rest) }
	for p.skip(true); p.rest != ""; p.skip(true) {
		s := confSetting{start: at()}
		s.name = p.take(func(c byte) bool {
			return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		})
		p.skip(false)
		if s.name == "" || !p.literal("=") {
			return nil, p.errorf("expected name = value")
		}
		p.skip(false)
		var err error
		s.value = at()
		if s.values, s.list, s.number, err = p.value(); err != nil {
			return nil, err
		}
		s.end = at()
		p.skip(false)
		if p.rest != "" && p.rest[0] != '\n' {
			return nil, p.errorf("expected the end of the line after %s", s.name)
		}
		settings = append(settings, s)
	}
	return settings, nil
}

// confParser walks through libvirt's configuration syntax.
type confParser struct {
	rest string
	line int
}

func (p *confParser) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %s", p.line, fmt.Sprintf(format, args...))
}

// advance goes over n bytes.
func (p *confParser) advance(n int) {
	p.line += strings.Count(p.rest[:n], "\n")
	p.rest = p.rest[n:]
}

// take goes over the bytes that are wanted and returns them.
func (p *confParser) take(want func(byte) bool) string {
	n := 0
	for n < len(p.rest) && want(p.rest[n]) {
		n++
	}
	taken := p.rest[:n]
	p.advance(n)
	return taken
}

// skip goes over blanks and comments, and over line ends where they mean
// nothing.
func (p *confParser) skip(lines bool) {
	for {
		p.take(func(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || lines && c == '\n' })
		if p.rest == "" || p.rest[0] != '#' {
			return
		}
		// Nearly all of the file is comments.
		end := strings.IndexByte(p.rest, '\n')
		if end < 0 {
			end = len(p.rest)
		}
		p.rest = p.rest[end:]
	}
}

func (p *confParser) literal(s string) bool {
	if !strings.HasPrefix(p.rest, s) {
		return false
	}
	p.advance(len(s))
	return true
}

// value reads a value; a string or number is a list of one.
func (p *confParser) value() (values []string, list, number bool, err error) {
	if !p.literal("[") {
		v, number, err := p.scalar()
		return []string{v}, false, number, err
	}
	values = []string{}
	for p.skip(true); !p.literal("]"); p.skip(true) {
		if len(values) > 0 && !p.literal(",") {
			return nil, true, false, p.errorf("expected , or ] in the list")
		}
		p.skip(true)
		if len(values) > 0 && p.literal("]") { // a comma may end the list
			break
		}
		v, isNumber, err := p.scalar()
		if err != nil {
			return nil, true, false, err
		}
		values, number = append(values, v), number || isNumber
	}
	return values, true, number, nil
}

func (p *confParser) scalar() (value string, number bool, err error) {
	for _, quote := range []string{`"""`, `"`, `'`} {
		if !p.literal(quote) {
			continue
		}
		text, _, closed := strings.Cut(p.rest, quote)
		if !closed || quote != `"""` && strings.Contains(text, "\n") {
			return "", false, p.errorf("a string that does not end")
		}
		p.advance(len(text) + len(quote))
		return text, false, nil
	}
	value = p.take(func(c byte) bool { return c == '-' || c >= '0' && c <= '9' })
	if value == "" {
		return "", true, p.errorf("expected a string, a number or a list")
	}
	return value, true, nil
}
