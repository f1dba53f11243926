// Package qemu reads the memory options of a QEMU command line: what the guest
// takes from the hugetlb pools, and the command line that takes it. Arguments
// in, arguments out: it knows no host, no files and no processes.
//
// Source: qemu-options.hx, softmmu/vl.c and backends/hostmem*.c of QEMU 7.2.
package qemu

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"vmhuge/internal/pages"
)

// Options is what Read must know besides the command line.
type Options struct {
	Size        pages.Size // of the pages for memory whose page size the command line leaves open
	DefaultSize pages.Size // the host's default huge page
	UUID        string     // for a command line without -uuid
	// PageSizeAt returns the page size of the hugetlbfs on which a path lies,
	// 0 for any other file system.
	PageSizeAt func(path string) (pages.Size, error)
}

// Command is a QEMU command line whose memory is on huge pages.
type Command struct {
	Args   []string
	UUID   string
	Name   string // of -name, else the program's
	Demand pages.Demand
	// RAMKiB is the guest's memory, and FilledKiB how much of it is on huge
	// pages once QEMU has preallocated it.
	RAMKiB, FilledKiB int64
	Changes           []string // what was added or replaced
	Notes             []string // what stays as it is, and may surprise
}

// IsQEMU says whether a program is one that emulates a whole machine, by its
// name: that is how a guest is recognised later, too.
func IsQEMU(program string) bool {
	name := base(program)
	return strings.HasPrefix(name, "qemu-system-") || slices.Contains([]string{"qemu", "qemu-kvm", "kvm"}, name)
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// Read reads a command line, and changes it where it leaves memory on small
// pages. An error is a sentence for whoever wrote the command line.
func Read(args []string, want Options) (Command, error) {
	if len(args) == 0 || !IsQEMU(args[0]) {
		return Command{}, fmt.Errorf("%q is not QEMU: name qemu-system-… itself, with what starts it before vmhuge",
			strings.Join(args[:min(1, len(args))], ""))
	}
	r := reader{Options: want, args: slices.Clone(args), memory: -1}
	r.cmd.Name = base(args[0])
	if err := r.scan(); err != nil {
		return Command{}, err
	}
	for _, b := range r.backends {
		if err := r.backend(b); err != nil {
			return Command{}, err
		}
	}
	if err := r.plain(); err != nil {
		return Command{}, err
	}
	if r.cmd.UUID == "" {
		r.cmd.UUID = want.UUID
		r.add("-uuid", want.UUID)
	}
	if len(r.cmd.Demand.Items) == 0 {
		return Command{}, errors.New("none of its memory would be on huge pages: " + strings.Join(r.cmd.Notes, "; "))
	}
	// QEMU's monitor can unplug memory, and the balloon takes it out piece by
	// piece, but only a device that is there from the start is likely to.
	r.cmd.Demand.Elastic = strings.Contains(strings.Join(args, " "), "balloon")
	r.cmd.Demand.Domain, r.cmd.Demand.UUID, r.cmd.Demand.Backing = r.cmd.Name, r.cmd.UUID, pages.Hugetlb
	r.cmd.Args = r.args
	return r.cmd, nil
}

// reader is a command line on its way.
type reader struct {
	Options
	cmd  Command
	args []string

	memory   int64  // -m in bytes, -1 for none
	machine  string // the machine's type
	whole    string // the backend of -machine memory-backend=
	memPath  string
	prealloc bool           // -mem-prealloc
	cells    map[string]int // backends of -numa node,memdev=, with their node
	devices  map[string]string
	backends []*backend
}

// backend is one -object memory-backend-….
type backend struct {
	options
	at       int // of its value among the arguments
	id, kind string
}

func (r *reader) add(args ...string) {
	r.args = append(r.args, args...)
	r.changed("added", args...)
}

func (r *reader) changed(how string, args ...string) {
	r.cmd.Changes = append(r.cmd.Changes, how+" "+strings.Join(args, " "))
}

func (r *reader) note(format string, args ...any) {
	r.cmd.Notes = append(r.cmd.Notes, fmt.Sprintf(format, args...))
}

// scan finds the options that matter. QEMU takes one dash or two, and of an
// option that is repeated the last value, or all of them together.
func (r *reader) scan() error {
	r.cells, r.devices = map[string]int{}, map[string]string{}
	for i := 1; i < len(r.args); i++ {
		name, ok := strings.CutPrefix(r.args[i], "-")
		name = strings.TrimPrefix(name, "-")
		read, known := readers[name]
		switch {
		case !ok:
		case name == "daemonize":
			return errors.New("-daemonize: vmhuge exec waits for QEMU to give its pages back, so it runs in the foreground; put vmhuge itself into the background")
		case name == "mem-prealloc":
			r.prealloc = true
		case !known:
		case i+1 == len(r.args):
			return fmt.Errorf("%s wants a value", r.args[i])
		default:
			i++
			if err := read(r, i, r.args[i]); err != nil {
				return fmt.Errorf("%s %.80s: %w", r.args[i-1], r.args[i], err)
			}
		}
	}
	return nil
}

// readers read the value of an option, which is the argument at an index.
var readers = map[string]func(r *reader, at int, value string) error{
	"m":        (*reader).readMemory,
	"object":   (*reader).readObject,
	"numa":     (*reader).readNUMA,
	"machine":  (*reader).readMachine,
	"M":        (*reader).readMachine,
	"device":   (*reader).readDevice,
	"uuid":     (*reader).readUUID,
	"mem-path": func(r *reader, _ int, value string) error { r.memPath = value; return nil },
	"name": func(r *reader, _ int, value string) error {
		o, err := parseOptions(value, "guest")
		if name := o.get("guest"); name != "" {
			r.cmd.Name = name
		}
		return err
	},
	"set": func(_ *reader, _ int, value string) error {
		if strings.HasPrefix(value, "object.") || strings.HasPrefix(value, "memory.") {
			return errors.New("write it into the option that it changes")
		}
		return nil
	},
}

func (r *reader) readMemory(_ int, value string) error {
	o, err := parseOptions(value, "size")
	size := o.get("size")
	if err != nil || size == "" {
		return err
	}
	r.memory, err = parseSize(size, pages.MiB)
	return err
}

func (r *reader) readObject(at int, value string) error {
	o, err := parseOptions(value, "qom-type")
	if err != nil {
		return err
	}
	kind, ok := strings.CutPrefix(o.get("qom-type"), "memory-backend-")
	if ok && slices.Contains([]string{"ram", "file", "memfd"}, kind) {
		r.backends = append(r.backends, &backend{o, at, o.get("id"), kind})
	}
	return nil
}

func (r *reader) readNUMA(_ int, value string) error {
	o, err := parseOptions(value, "type")
	if id := o.get("memdev"); id != "" {
		r.cells[id] = len(r.cells)
	}
	return err
}

func (r *reader) readMachine(_ int, value string) error {
	o, err := parseOptions(value, "type")
	if id := o.get("memory-backend"); id != "" {
		r.whole = id
	}
	if kind := o.get("type"); kind != "" {
		r.machine = kind
	}
	return err
}

func (r *reader) readDevice(_ int, value string) error {
	o, err := parseOptions(value, "driver")
	if id := o.get("memdev"); id != "" {
		r.devices[id] = o.get("driver")
	}
	return err
}

// readUUID gives the UUID the form in which a guest is recognised by it.
func (r *reader) readUUID(at int, value string) error {
	if r.cmd.UUID != "" {
		return errors.New("it is the second one")
	}
	r.cmd.UUID = strings.ToLower(value)
	for i, c := range []byte(r.cmd.UUID) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || (!dash && !strings.ContainsRune("0123456789abcdef", rune(c))) {
			r.cmd.UUID = ""
		}
	}
	if len(r.cmd.UUID) != 36 {
		return errors.New("it is not a UUID")
	}
	r.args[at-1], r.args[at] = "-uuid", r.cmd.UUID
	return nil
}
