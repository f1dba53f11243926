// Package libvirtd tells what libvirt's daemon on this host is like, as its files show it:
// libvirt itself is not asked.
package libvirtd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/process"
	"vmhuge/internal/hostfs"
)

// Daemon is the daemon that holds libvirt's system QEMU driver: libvirtd, or
// virtqemud where the daemons are split.
type Daemon struct {
	Name    string
	PID     int
	Started time.Time // to a hundredth of a second on this host, to a second below another root
}

// ReadDaemon finds the running daemon. nil: none runs, which is no fault: it is
// started on demand, and on Debian ends after two idle minutes.
func ReadDaemon(h host.Host) (*Daemon, error) {
	return host.Once(h, cacheKey("daemon"), func() (*Daemon, error) { return findDaemon(h, h.Root.Libvirt().Run) })
}

// findDaemon finds the daemon that has its files in a runtime directory.
func findDaemon(h host.Host, run string) (*Daemon, error) {
	text, err := h.Root.Read(hostfs.Libvirt{Run: run}.QEMUState(), "driver.pid")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || pid <= 0 {
		return nil, nil // the daemon is just writing it, or the file is not libvirt's
	}
	// The file outlives a daemon that was killed, and its pid is used again.
	name, err := daemonAt(h, pid)
	if err != nil || name == "" {
		return nil, err
	}
	process, err := process.Find(h.Root, pid)
	if err != nil {
		return nil, err
	}
	started, err := startTime(h, process)
	if err != nil {
		return nil, err
	}
	return &Daemon{Name: name, PID: pid, Started: started}, nil
}

// daemonAt is the name of the system's daemon that a process is, "" for none. Users may call
// their processes as they like, and run libvirtd themselves: the system's is run by root, who
// owns /proc.
func daemonAt(h host.Host, pid int) (name string, err error) {
	dir := "/proc/" + strconv.Itoa(pid)
	name, err = process.Program(h.Root, pid)
	if errors.Is(err, fs.ErrNotExist) && !h.Real() { // a tree of files need not have the link
		name, err = h.Root.Read(dir, "comm")
		name = strings.TrimSpace(name)
	}
	if errors.Is(err, fs.ErrNotExist) || err == nil && !slices.Contains(DaemonNames, name) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	proc, err1 := h.Lstat("/proc")
	here, err2 := h.Lstat(dir)
	if err := errors.Join(err1, err2); err != nil || proc == nil || here == nil || here.Uid != proc.Uid {
		return "", err
	}
	return name, nil
}

// startTime is when a process started. A hook that root installed just before it
// restarted the daemon must not look newer than the daemon.
func startTime(h host.Host, p process.Process) (time.Time, error) {
	boot, err := bootTime(h)
	// A tick is 10 ms: USER_HZ is 100 on every architecture that libvirt runs on.
	return boot.Add(time.Duration(p.Start) * 10 * time.Millisecond), err
}

// bootTime is the kernel's btime, of which /proc/stat shows whole seconds alone: the
// host's own comes from the same two clocks, in nanoseconds.
func bootTime(h host.Host) (time.Time, error) {
	if !h.Real() {
		stat, err := h.Root.Read("proc", "stat")
		if err != nil {
			return time.Time{}, err
		}
		return parseBootTime(strings.NewReader(stat))
	}
	var sinceBoot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &sinceBoot); err != nil {
		return time.Time{}, fmt.Errorf("clock_gettime(CLOCK_BOOTTIME): %w", err)
	}
	return time.Now().Add(-time.Duration(sinceBoot.Nano())), nil
}

// Above returns the daemon that has started a process, or one between: a hook may be
// called by a script, which ends. Where none is found, the first process of the host
// answers, which outlives all.
func Above(h host.Host, pid int) (process.Process, error) {
	for range 32 { // a chain that changes while it is read may have no end
		if pid <= 1 {
			break
		}
		if name, _ := daemonAt(h, pid); name != "" {
			return process.Find(h.Root, pid)
		}
		pid = process.Parent(h.Root, pid)
	}
	return process.Find(h.Root, 1)
}

// parseBootTime reads when the host booted from /proc/stat:
//
//	ctxt 115315
//	btime 1732137263
func parseBootTime(r io.Reader) (time.Time, error) {
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, 1<<20) // the line intr is long on hosts of many processors
	for scan.Scan() {
		if value, ok := strings.CutPrefix(scan.Text(), "btime "); ok {
			seconds, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return time.Time{}, fmt.Errorf("/proc/stat: %q is not a time", scan.Text())
			}
			return time.Unix(seconds, 0), nil
		}
	}
	if err := scan.Err(); err != nil {
		return time.Time{}, err
	}
	return time.Time{}, errors.New("/proc/stat has no line btime")
}

// LooksNoMore says why the daemon does not call a hook that was installed after it started.
func (d Daemon) LooksNoMore() string {
	return fmt.Sprintf("the running %s (process %d) may have found no hook when it started, and then calls none", d.Name, d.PID)
}

// DaemonNames are the daemons that may hold the QEMU driver.
var DaemonNames = []string{"libvirtd", "virtqemud"}

// Installed says whether libvirt is installed here, or runs.
func Installed(h host.Host) (bool, error) {
	where := h.Root.Libvirt()
	for _, place := range []string{where.ConfDir(), where.StateDir(), "/usr/sbin/libvirtd", "/usr/sbin/virtqemud"} {
		if st, err := h.Lstat(place); err != nil || st != nil {
			return st != nil, err
		}
	}
	return false, nil
}
