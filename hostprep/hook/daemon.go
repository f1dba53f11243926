package hook

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/journal"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/hostprep/process"
	"vmhuge/internal/advice"
)

// hookDaemon names the daemon process that is known to call QEMU's hooks.
var hookDaemon = []string{"run", "vmhuge", "hook.daemon"}

// ReloadPlan returns the running daemon that must be told to look for hooks;
// nil: none. A daemon looks when it starts and when it is reloaded. If there
// was none for QEMU then, it looks no more; if there was one, it lists the
// folder anew at each start of a guest.
func ReloadPlan(h host.Host) (*libvirtd.Daemon, error) {
	d, err := libvirtd.ReadDaemon(h)
	if err != nil || d == nil {
		return nil, err
	}
	if known, err := callsHooks(h, *d); err != nil || known {
		return nil, err
	}
	return d, nil
}

// callsHooks looks for a proof that the daemon found a hook when it last
// looked. That of a reload by hand is only the next call.
func callsHooks(h host.Host, d libvirtd.Daemon) (bool, error) {
	if isHookDaemon(h, d) {
		return true, nil
	}
	events, err := Events(h)
	if err != nil {
		return false, err
	}
	if n := len(events); n > 0 && events[n-1].Time.After(d.Started) {
		return true, nil
	}
	files, err := Files(h)
	return slices.ContainsFunc(files, func(f found) bool { return f.Runs && f.changed.Before(d.Started) }), err
}

// isHookDaemon says whether the process is the one of rememberDaemon.
func isHookDaemon(h host.Host, d libvirtd.Daemon) bool {
	var told process.Process
	text, err := h.Root.Read(hookDaemon...)
	return err == nil && json.Unmarshal([]byte(text), &told) == nil && told.PID == d.PID && told.Alive(h.Root)
}

// rememberDaemon writes down that the daemon calls hooks.
func rememberDaemon(h host.Host, d libvirtd.Daemon) error {
	process, err := process.Find(h.Root, d.PID)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has ended, and the next one looks
	}
	if err != nil {
		return err
	}
	text, err := json.Marshal(process)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(path.Dir(h.Root.Path(hookDaemon...)), 0o755); err != nil {
		return err
	}
	return h.Root.Replace(append(text, '\n'), 0o644, hookDaemon...)
}

// Reload makes the daemon look for hooks again. It does so a moment
// after this has returned, and not at all before its drivers are up.
func Reload(h host.Host, d libvirtd.Daemon) error {
	if !h.Real() {
		return advice.New("reloading "+d.Name, "the processes under another root cannot be signalled", "run vmhuge there")
	}
	p, err := os.FindProcess(d.PID) // holds on to the process: its pid may come to be another's
	if err != nil {
		return err
	}
	defer p.Release()
	if now, err := libvirtd.ReadDaemon(h); err != nil || now == nil || now.PID != d.PID {
		return err // it has ended, and the next one looks
	}
	if err := p.Signal(syscall.SIGHUP); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return advice.Wrap(err, "reloading "+d.Name, "run systemctl reload "+d.Name)
	}
	return rememberDaemon(h, d)
}

// Install makes the changes of a HookPlan.
func Install(h host.Host, changes []change.Change) error {
	if err := Journal(h).Finish(); err != nil || len(changes) == 0 {
		return advice.About(err, installing)
	}
	// The new file is younger than a daemon that has long called the old one.
	d, err := libvirtd.ReadDaemon(h)
	known := false
	if err == nil && d != nil {
		known, err = callsHooks(h, *d)
	}
	if err == nil {
		err = Journal(h).Apply(changes)
	}
	if err == nil && known {
		err = rememberDaemon(h, *d)
	}
	return advice.About(err, installing)
}

// found is a file that is, or looks like, a hook of QEMU's driver.
type found struct {
	Path    string
	mode    uint32
	uid     uint32
	gid     uint32
	Runs    bool
	changed time.Time // it is not older than that
}

// Files lists what is in the places of QEMU's hooks. libvirt runs what is
// an executable file, through symbolic links and whatever its name.
func Files(h host.Host) ([]found, error) {
	return host.Once(h, cacheKey("files"), func() ([]found, error) { return readFiles(h) })
}

func readFiles(h host.Host) ([]found, error) {
	hooks, qemu := dirs(h)
	paths := []string{path.Join(hooks, "qemu")}
	entries, err := os.ReadDir(h.Root.Path(qemu))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		paths = append(paths, path.Join(qemu, e.Name()))
	}
	var files []found
	for _, file := range paths {
		var st unix.Stat_t
		if err := unix.Stat(h.Root.Path(file), &st); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, &fs.PathError{Op: "stat", Path: file, Err: err}
		}
		files = append(files, found{Path: file, mode: st.Mode & 0o7777, uid: st.Uid, gid: st.Gid,
			Runs:    st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o111 != 0,
			changed: time.Unix(st.Ctim.Unix())})
	}
	return files, nil
}

// RestartDaemon has the service manager start the daemon anew.
func RestartDaemon(d libvirtd.Daemon) error {
	err := journal.RunFirst([]string{"systemctl", "restart", d.Name}, []string{"rc-service", d.Name, "restart"}, []string{"service", d.Name, "restart"})
	if err != nil {
		return advice.Wrap(err, "restarting "+d.Name, "restart it by hand")
	}
	return nil
}
