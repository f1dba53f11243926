package process

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"vmhuge/internal/hostfs"
)

// Guests finds the QEMU processes of running guests. It needs no libvirt, so
// that it can be asked when libvirtd is down or waits for us.
type Guests struct {
	root    hostfs.Root
	known   *identity
	scanned *scan // once all processes were looked at
	unread  []int
}

// NewGuests looks when it is asked, and remembers what it saw.
func NewGuests(root hostfs.Root) *Guests { return &Guests{root: root, known: newIdentity(root)} }

// Guest is a guest whose process is looked for.
type Guest struct {
	UUID, Name string
	PID        int     // that it had when it was last seen; 0: not known
	Owner      Process // that starts it
}

// scan is what a look at all processes found.
type scan struct {
	byUUID map[string]Process
	// held are processes that look like QEMU and whose command line could not be
	// read: any of them may be any guest.
	held []int
	// strangers run QEMU for a user who has no part in libvirt's system guests.
	strangers []int
}

// Find returns the process of a guest, 0 if it does not run. held says that
// this could not be told, because a process that may be the guest does not let its
// command line be read. libvirt writes the pid into a file before QEMU begins; a
// daemon whose files are elsewhere (qemu:///session, qemu:///embed) costs a look at
// every process.
func (g *Guests) Find(c Guest) (pid int, held bool) {
	if !strings.ContainsAny(c.Name, "/\x00") {
		if pid := g.known.pidFile(c.Name); pid != 0 {
			runs, unread := g.RunsAs(c.UUID, pid)
			if runs {
				return pid, false
			}
			held = unread
		}
	}
	if c.PID != 0 && !held {
		runs, unread := g.RunsAs(c.UUID, c.PID)
		if runs {
			return c.PID, false
		}
		held = unread
	}
	if g.scanned == nil {
		g.scanned, _ = scanProcesses(g.root, g.known)
		if g.scanned != nil {
			g.unread = append(g.unread, g.scanned.held...)
		}
	}
	if g.scanned == nil {
		return 0, held
	}
	if p := g.scanned.byUUID[c.UUID]; p.PID != 0 {
		return p.PID, false
	}
	// exec's QEMU may have given up root (-runas), and is its child.
	// Of the first process everybody may be.
	if len(g.scanned.strangers) > 0 && c.Owner.PID > 1 && c.Owner.Alive(g.root) {
		for _, pid := range g.scanned.strangers {
			if Parent(g.root, pid) != c.Owner.PID {
				continue
			}
			uuid, err := readUUID(g.root, pid)
			if err == nil && uuid == c.UUID {
				return pid, false
			}
			held = held || errors.Is(err, hostfs.ErrHeld)
		}
	}
	return 0, held || len(g.scanned.held) > 0
}

// MovesIn says whether a guest is moving to this host, as libvirt notes for root alone. Until it
// runs here, its QEMU may give up pages and take them once more.
func (g *Guests) MovesIn(c Guest) bool {
	return !strings.ContainsAny(c.Name, "/\x00") && g.known.movesIn(c.Name)
}

// RunsAs says whether a process is a guest's QEMU, and held that it may be.
func (g *Guests) RunsAs(uuid string, pid int) (runs, held bool) {
	if g.known.of(pid) != trusted {
		return false, false
	}
	found, err := readUUID(g.root, pid)
	if errors.Is(err, hostfs.ErrHeld) {
		found = g.known.libvirtUUID(pid)
		if held = found == ""; held {
			g.unread = append(g.unread, pid)
		}
	}
	return found == uuid, held
}

// Unread are the processes that may be a guest and keep their memory map locked.
func (g *Guests) Unread() []int { return slices.Compact(slices.Sorted(slices.Values(g.unread))) }

// RunQEMU says of each of many processes whether it runs QEMU, whoever's. All processors look.
func (g *Guests) RunQEMU(pids []int) []bool {
	const each = 64 // a thread takes as long to start
	runs := make([]bool, len(pids))
	proc, err := hostfs.Open(g.root.Path("proc"), os.O_RDONLY|unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return runs // none is seen, and who looks again says why
	}
	defer proc.Close()
	from := int(proc.Fd())
	parts := min(runtime.GOMAXPROCS(0), 1+len(pids)/each)
	var wait sync.WaitGroup
	for part := range parts {
		look := func() {
			// A panic here nobody could recover from. Who looks again at what does not run meets it.
			defer func() { _ = recover() }()
			exe := make([]byte, 256)
			for i := part * len(pids) / parts; i < (part+1)*len(pids)/parts; i++ {
				// From the open /proc on the kernel has two names to look up, not three.
				n, err := unix.Readlinkat(from, strconv.Itoa(pids[i])+"/exe", exe)
				if err == nil && n < len(exe) {
					runs[i] = isQEMU(programName(string(exe[:n])))
				} else {
					runs[i] = g.known.runsQEMU(pids[i])
				}
			}
		}
		if part == parts-1 {
			look()
		} else {
			wait.Go(look)
		}
	}
	wait.Wait()
	return runs
}

// All are the processes of all guests, by UUID. If any process may be a guest and can't be
// read, it is hostfs.ErrHeld.
func (g *Guests) All() (map[string]Process, error) {
	if g.scanned == nil {
		var err error
		if g.scanned, err = scanProcesses(g.root, g.known); err != nil {
			return nil, err
		}
	}
	if len(g.scanned.held) > 0 {
		return nil, hostfs.ErrHeld
	}
	return g.scanned.byUUID, nil
}

// MeetHeld waits for the processes that keep their memory map locked and may be guests, as
// the first look at them does. Later ones don't; see hostfs.Root.ReadProcess.
func MeetHeld(root hostfs.Root) { _, _ = scanProcesses(root, newIdentity(root)) }

// FindGuests returns the QEMU processes of running guests by the UUID that
// libvirt gives them on their command line (-uuid). It needs no libvirt, so
// that it can be asked when libvirtd is down or waits for us.
func FindGuests(root hostfs.Root) (map[string]Process, error) {
	s, err := scanProcesses(root, newIdentity(root))
	if err != nil {
		return nil, err
	}
	return s.byUUID, nil
}

func scanProcesses(root hostfs.Root, known *identity) (*scan, error) {
	entries, err := os.ReadDir(root.Path("proc"))
	if err != nil {
		return nil, err
	}
	s := &scan{byUUID: map[string]Process{}}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		switch known.of(pid) {
		case notQEMU:
			continue
		case stranger:
			s.strangers = append(s.strangers, pid)
			continue
		}
		uuid, err := readUUID(root, pid)
		if errors.Is(err, hostfs.ErrHeld) {
			if uuid = known.libvirtUUID(pid); uuid == "" {
				s.held = append(s.held, pid)
			}
		}
		if uuid == "" {
			continue // also when it has ended since
		}
		p, err := Find(root, pid)
		if err != nil {
			continue
		}
		// If two processes claim the same UUID, the one that libvirt started counts.
		if other := s.byUUID[uuid]; other.PID == 0 || known.hasPIDFile(pid) && !known.hasPIDFile(other.PID) {
			s.byUUID[uuid] = p
		}
	}
	return s, nil
}

// readUUID reads the UUID of the guest that a process says it is, "" for none.
func readUUID(root hostfs.Root, pid int) (string, error) {
	cmdline, err := root.ReadProcess(pid, "cmdline")
	return cmdlineUUID([]byte(cmdline)), err
}

// cmdlineUUID reads the value of -uuid from /proc/PID/cmdline, in which the
// arguments end with a zero byte. The emulator's name starts with qemu, or is
// kvm on older Debian.
func cmdlineUUID(cmdline []byte) string {
	args := bytes.Split(cmdline, []byte{0})
	program := string(args[0][bytes.LastIndexByte(args[0], '/')+1:])
	if !strings.HasPrefix(program, "qemu") && program != "kvm" {
		return ""
	}
	for i := 1; i+1 < len(args); i++ {
		if string(args[i]) == "-uuid" {
			return string(args[i+1])
		}
	}
	return ""
}
