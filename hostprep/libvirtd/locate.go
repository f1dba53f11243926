package libvirtd

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
	"vmhuge/internal/advice"
	"vmhuge/internal/hostfs"
)

// Locate finds where this host's libvirt has its files, and has the process go by that: the
// setting where there is one, else what the running daemon was built with, else what this
// program's own libvirt was. The hook does without: it must be fast, and goes by the setting.
func Locate(h host.Host) error {
	_, set, err := h.Root.LibvirtSetting()
	if err == nil && !set {
		h.Root.SetLibvirt(locate(h))
	}
	return err
}

// Contradicts says where the running daemon has its configuration if the setting says otherwise,
// as it does once another libvirt has taken the place of the one that it was for. "": it does not.
func Contradicts(h host.Host) (daemon, conf string) {
	setting, set, err := h.Root.LibvirtSetting()
	if err != nil || !set {
		return "", ""
	}
	_, d := running(h)
	if d == nil {
		return "", ""
	}
	if l, ok := builtWith(h, mappedLibrary(h, strconv.Itoa(d.PID))); ok && l != setting {
		return d.Name, l.ConfDir()
	}
	return "", ""
}

// LocateIn has the process go by what the libvirt was built with that is installed in a
// directory such as /opt/libvirt.
func LocateIn(h host.Host, prefix string) error {
	var found []string
	for _, dir := range []string{"lib*", "lib/*"} { // lib64; Debian's lib/x86_64-linux-gnu
		files, _ := filepath.Glob(h.Root.Path(prefix, dir, "libvirt.so.0"))
		found = append(found, files...)
	}
	what := "reading where the libvirt in " + prefix + " has its files"
	if len(found) == 0 {
		return advice.New(what, "there is no lib/libvirt.so.0 in it", "name the directory that libvirt was installed in (meson's prefix)")
	}
	library := h.Resolve("/" + strings.TrimPrefix(found[0], h.Root.Path()))
	if st, err := h.Lstat(library); err != nil || st == nil || st.Uid != 0 || st.Mode&0o022 != 0 || !isRoots(h, path.Dir(library)) {
		return advice.New(what, "users other than root could change "+library, "install it as root, into a directory that only root may write to")
	}
	l, ok := builtWith(h, library)
	if !ok {
		return advice.New(what, library+" does not say it", "write sysconfdir, localstatedir and runstatedir into "+hostfs.LibvirtFile)
	}
	h.Root.SetLibvirt(l)
	return nil
}

func locate(h host.Host) hostfs.Libvirt {
	usual := hostfs.UsualLibvirt
	conf, _ := h.Lstat(usual.ConfDir())
	run, daemon := running(h)
	if daemon != nil {
		if conf != nil && run == usual.Run && isPackaged(h, daemon.PID) {
			return usual
		}
		if l, ok := builtWith(h, mappedLibrary(h, strconv.Itoa(daemon.PID))); ok {
			return l
		}
	}
	own := mappedLibrary(h, "self")
	if conf != nil && run == usual.Run && (own == "" || host.Within(own, "/usr/lib") || host.Within(own, "/usr/lib64")) {
		return usual
	}
	if l, ok := builtWith(h, own); ok && (daemon == nil || h.Resolve(l.Run) == h.Resolve(run)) {
		return l
	}
	usual.Run = run
	return usual
}

// running is the runtime directory of the daemon that has the QEMU driver, and that daemon if it
// runs; without one it is that of the socket on which systemd listens for it, else the usual.
func running(h host.Host) (run string, d *Daemon) {
	runs := []string{hostfs.UsualLibvirt.Run}
	if d, _ := findDaemon(h, runs[0]); d != nil {
		return runs[0], d
	}
	listed, _ := listeningAt(h)
	for _, socket := range listed {
		dir, ok := strings.CutSuffix(path.Dir(socket), "/libvirt")
		if ok && slices.ContainsFunc(sockets, func(s socketOf) bool { return s.name == path.Base(socket) }) && isRoots(h, path.Dir(socket)) {
			runs = append(runs, dir)
		}
	}
	for _, run := range runs {
		if d, _ := findDaemon(h, run); d != nil {
			return run, d
		}
	}
	if i := slices.IndexFunc(runs, func(run string) bool { name, _ := listeningIn(h, run); return name != "" }); i >= 0 {
		return runs[i], nil
	}
	return runs[0], nil
}

// isRoots says that nobody but root can have put a file into a folder: any user may listen on a
// socket of any name. It begins at the top, and so looks into no user's file system, whose
// server may not answer.
func isRoots(h host.Host, dir string) bool {
	if dir == "/" {
		return true
	}
	proc, err := h.Lstat("/proc") // root owns it
	if err != nil || proc == nil || !isRoots(h, path.Dir(dir)) {
		return false
	}
	st, err := h.Lstat(dir)
	return err == nil && st != nil && st.Uid == proc.Uid && (st.Mode&0o022 == 0 || st.Mode&unix.S_IFMT == unix.S_IFLNK)
}

// isPackaged says that a process runs a program from where distributions have theirs.
func isPackaged(h host.Host, pid int) bool {
	exe, err := os.Readlink(h.Root.Path("proc", strconv.Itoa(pid), "exe"))
	return err == nil && slices.Contains(ProgramDirs, path.Dir(exe)) || err != nil && !h.Real()
}

// mappedLibrary is the libvirt.so that a process has loaded, "" where that can't be read.
func mappedLibrary(h host.Host, process string) string {
	var maps string
	if pid, err := strconv.Atoi(process); err == nil {
		maps, _ = h.Root.ReadProcess(pid, "maps")
	} else {
		maps, _ = h.Root.Read("proc", process, "maps")
	}
	// 7f0a4c200000-7f0a4c2a1000 r--p 00000000 fe:01 1443 /usr/lib/x86_64-linux-gnu/libvirt.so.0.9000.0
	for line := range strings.Lines(maps) {
		if at := strings.IndexByte(line, '/'); at > 0 && strings.HasPrefix(path.Base(line), "libvirt.so.") {
			return strings.TrimSuffix(strings.TrimSpace(line[at:]), " (deleted)") // after an update the new one is there
		}
	}
	return ""
}

// builtWith reads out of a libvirt.so where the libvirt it is of has its files. Two of its
// strings tell that; the third directory stands there alone, and is the one that has a folder of
// guests. No program is run for it, as libvirtd --help would be.
//
// Source: LIBVIRT_HOOK_DIR in src/util/virhook.c, virLogManagerDaemonPath() in
// src/logging/log_manager.c, and LOCALSTATEDIR in src/util/virlog.c.
func builtWith(h host.Host, library string) (l hostfs.Libvirt, ok bool) {
	if library == "" {
		return l, false
	}
	text, err := h.Root.Read(library)
	if err != nil {
		return l, false
	}
	var alone []string
	for {
		at := strings.Index(text, "\x00/")
		if at < 0 {
			break
		}
		text = text[at+1:]
		s, _, _ := strings.Cut(text[:min(len(text), unix.PathMax)], "\x00")
		etc, ofHooks := strings.CutSuffix(s, "/libvirt/hooks")
		run, ofLogs := strings.CutSuffix(s, "/libvirt/virtlogd-sock")
		switch {
		case ofHooks && hostfs.IsCleanPath(etc):
			l.Etc = etc
		case ofLogs && hostfs.IsCleanPath(run):
			l.Run = run
		case s != hostfs.UsualLibvirt.Var && hostfs.IsCleanPath(s):
			alone = append(alone, s)
		}
	}
	hasGuests := func(dir string) bool {
		st, _ := h.Lstat(hostfs.Libvirt{Var: dir}.QEMULib())
		return st != nil
	}
	l.Var = hostfs.UsualLibvirt.Var
	if i := slices.IndexFunc(alone, hasGuests); i >= 0 {
		l.Var = alone[i]
	} else if beside := path.Dir(l.Etc) + "/var"; slices.Contains(alone, beside) { // its daemon has not run yet
		l.Var = beside
	}
	return l, l.Etc != "" && l.Run != ""
}
