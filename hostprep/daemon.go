package hostprep

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"vmhuge/hostprep/pool"
)

// Daemon is the daemon that holds libvirt's system QEMU driver: libvirtd, or
// virtqemud where the daemons are split.
type Daemon struct {
	Name    string
	PID     int
	Started time.Time // to about a second
}

// Daemon finds the running daemon. nil: none runs, which is no fault: it is
// started on demand, and on Debian ends after two idle minutes.
func (h Host) Daemon() (*Daemon, error) {
	return once(h, "daemon", func() (*Daemon, error) { return h.findDaemon() })
}

func (h Host) findDaemon() (*Daemon, error) {
	text, err := h.Root.Read("run", "libvirt", "qemu", "driver.pid")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || pid <= 0 {
		return nil, nil // the daemon is just writing it, or it is none of libvirt's
	}
	// The file outlives a daemon that was killed, and its pid is used again.
	comm, err := h.Root.Read("proc", strconv.Itoa(pid), "comm")
	name := strings.TrimSpace(comm)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && name != "libvirtd" && name != "virtqemud") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	process, err := pool.FindProcess(h.Root, pid)
	if err != nil {
		return nil, err
	}
	stat, err := h.Root.Read("proc", "stat")
	if err != nil {
		return nil, err
	}
	boot, err := parseBootTime(strings.NewReader(stat))
	if err != nil {
		return nil, err
	}
	// A tick is 10 ms: USER_HZ is 100 on every architecture that libvirt runs on.
	return &Daemon{Name: name, PID: pid, Started: boot.Add(time.Duration(process.Start) * 10 * time.Millisecond)}, nil
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
				return time.Time{}, fmt.Errorf("/proc/stat: %q is no time", scan.Text())
			}
			return time.Unix(seconds, 0), nil
		}
	}
	if err := scan.Err(); err != nil {
		return time.Time{}, err
	}
	return time.Time{}, errors.New("/proc/stat has no line btime")
}
