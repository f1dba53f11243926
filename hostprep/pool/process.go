package pool

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"vmhuge/internal/hostfs"
)

// Process names a process for good: the kernel reuses pids, but not with the
// same start time.
type Process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot, field 22 of /proc/PID/stat
}

// FindProcess returns the process that has a pid now.
func FindProcess(root hostfs.Root, pid int) (Process, error) {
	text, err := root.Read("proc", strconv.Itoa(pid), "stat")
	if err != nil {
		return Process{}, err
	}
	start, err := parseStatStart(text)
	return Process{PID: pid, Start: start}, err
}

// Alive says whether the process still runs.
func (p Process) Alive(root hostfs.Root) bool {
	now, err := FindProcess(root, p.PID)
	return err == nil && p.PID > 0 && now == p
}

// parseStatStart reads the start time from /proc/PID/stat, in which the second
// field is the program's name and may hold blanks and brackets:
//
//	4242 (qemu-system (x)) S 1 4242 4242 0 -1 4194624 12 0 0 0 0 0 0 0 20 0 1 0 88123 …
func parseStatStart(text string) (uint64, error) {
	_, rest, ok := cutLast(text, ")")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return 0, fmt.Errorf("%.40q is no /proc/PID/stat", text)
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("/proc/PID/stat: %q is no start time", fields[19])
	}
	return start, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// guests finds the QEMU processes of running guests. It needs no libvirt, so
// that it can be asked when libvirtd is down or waits for us.
type guests struct {
	root    hostfs.Root
	scanned map[string]Process // by UUID, once all processes were looked at
	pids    map[string]bool    // what /proc lists, once that was asked
}

// find returns the process of a guest, 0 if it does not run. libvirt writes
// its pid into a file before QEMU begins; a daemon whose files are elsewhere
// (qemu:///session, qemu:///embed) costs a look at every process.
func (g *guests) find(uuid, name string) int {
	if !strings.ContainsAny(name, "/\x00") {
		if pid, err := g.root.ReadInt("run", "libvirt", "qemu", name+".pid"); err == nil && g.runsAs(uuid, int(pid)) {
			return int(pid)
		}
	}
	if g.scanned == nil {
		g.scanned, _ = FindGuests(g.root)
	}
	return g.scanned[uuid].PID
}

// exists says whether there is a process of that number. It costs one look at
// /proc for all, where runsAs costs one for each.
func (g *guests) exists(pid int) bool {
	if g.pids == nil {
		g.pids = map[string]bool{}
		if dir, err := os.Open(g.root.Path("proc")); err == nil {
			defer dir.Close()
			names, _ := dir.Readdirnames(-1)
			for _, name := range names {
				g.pids[name] = true
			}
		}
	}
	return g.pids[strconv.Itoa(pid)]
}

// runsAs says whether a process is a guest's QEMU.
func (g *guests) runsAs(uuid string, pid int) bool {
	cmdline, err := g.root.Read("proc", strconv.Itoa(pid), "cmdline")
	return err == nil && cmdlineUUID([]byte(cmdline)) == uuid
}

// FindGuests returns the QEMU processes of running guests by the UUID that
// libvirt gives them on their command line (-uuid). It needs no libvirt, so
// that it can be asked when libvirtd is down or waits for us.
func FindGuests(root hostfs.Root) (map[string]Process, error) {
	entries, err := os.ReadDir(root.Path("proc"))
	if err != nil {
		return nil, err
	}
	guests := map[string]Process{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		cmdline, err := root.Read("proc", e.Name(), "cmdline")
		if err != nil {
			continue // it has ended since
		}
		uuid := cmdlineUUID([]byte(cmdline))
		if uuid == "" {
			continue
		}
		if p, err := FindProcess(root, pid); err == nil {
			guests[uuid] = p
		}
	}
	return guests, nil
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
