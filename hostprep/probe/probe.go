// Package probe goes the way to a guest's huge pages as QEMU's user, to see what modes
// and mount options do not tell.
package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
)

// cacheKey is what this package keeps with host.Once.
type cacheKey string

// Probe is a way to a guest's pages that a process goes as QEMU's user, to see
// what modes and mount options don't tell.
type Probe struct {
	Mount  string     `json:"mount"`
	Dir    string     `json:"dir"` // on the mount, in which libvirt makes the guest's own
	Size   pages.Size `json:"page_size_kib"`
	UID    int        `json:"uid"`
	GID    int        `json:"gid"`
	Groups []int      `json:"groups"`
	Map    bool       `json:"map"` // one page, and drop it
}

// Obstacle is where a Probe ended; the zero value: it got through.
type Obstacle struct {
	Step  string        `json:"step"` // reaching, creating, opening, mapping
	Path  string        `json:"path"`
	Errno syscall.Errno `json:"errno"`
}

// Go goes the way. It must be called in a process of its own, as root, whose
// rights it drops for good. What it makes has no name, or has it for a moment.
func (p Probe) Go() (Obstacle, error) {
	file, err := unnamed(p.Dir)
	if err != nil {
		return obstacle("creating", p.Dir, err)
	}
	defer unix.Close(file)
	for _, do := range []func() error{
		func() error { return unix.Fchown(file, p.UID, p.GID) },
		func() error { return syscall.Setgroups(p.Groups) },
		func() error { return syscall.Setgid(p.GID) },
		func() error { return syscall.Setuid(p.UID) },
	} {
		if err := do(); err != nil {
			return Obstacle{}, err
		}
	}
	for _, dir := range p.folders() {
		if err := unix.Stat(dir+"/.", new(unix.Stat_t)); dir == p.Mount && err != nil {
			break // libvirt opens the mount's root when it starts a guest
		} else if err != nil {
			return obstacle("reaching", dir, err)
		}
	}
	own, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", file), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return obstacle("opening", p.Dir, err)
	}
	defer unix.Close(own)
	if !p.Map {
		return Obstacle{}, nil
	}
	// The kernel promises the page here or not at all; to touch it would only take
	// the time to clear it.
	err = unix.Ftruncate(own, int64(p.Size))
	if err == nil {
		var page []byte
		if page, err = unix.Mmap(own, 0, int(p.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
			err = unix.Munmap(page)
		}
	}
	if err != nil {
		return obstacle("mapping", p.Dir, err)
	}
	return Obstacle{}, nil
}

// folders are those that the user must search, the outermost first. In /dev a
// guest has a folder tree of its own, made by libvirt.
func (p Probe) folders() []string {
	var dirs []string
	for dir := p.Dir; dir != "/"; dir = path.Dir(dir) {
		if host.Within(dir, p.Mount) || !host.Within(p.Mount, "/dev") {
			dirs = append(dirs, dir)
		}
	}
	slices.Reverse(dirs)
	return dirs
}

// unnamed makes a file in a folder. Before Linux 5.5 hugetlbfs has no O_TMPFILE.
func unnamed(dir string) (int, error) {
	file, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return file, err
	}
	name := filepath.Join(dir, fmt.Sprintf(".vmhuge-%d", os.Getpid()))
	file, err = unix.Open(name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		err = unix.Unlink(name)
	}
	return file, err
}

func obstacle(step, path string, err error) (Obstacle, error) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return Obstacle{}, err
	}
	return Obstacle{step, path, errno}, nil
}

// maxText is far above what the JSON of a Probe takes.
const maxText = 1 << 20

// Run is the other side: it goes the way of a Probe, whose JSON is text, or where that is -
// the input, and prints the Obstacle.
func Run(text string, in io.Reader, out io.Writer) error {
	var err error
	if text == "-" {
		var read []byte
		read, err = io.ReadAll(io.LimitReader(in, maxText))
		text = string(read)
	}
	var p Probe
	if err == nil {
		err = json.Unmarshal([]byte(text), &p)
	}
	if err != nil {
		return advice.New("probing", "no probe: "+err.Error(), "run vmhuge check instead")
	}
	o, err := p.Go()
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(o)
}

func (o Obstacle) finding(h host.Host, g hostprep.Guest, user host.User) hostprep.Finding {
	f := hostprep.Finding{Check: "probe", Severity: hostprep.Blocker, Verdict: hostprep.NoAccess, Changes: []change.Change{},
		Have: fmt.Sprintf("%s %s as %s failed: %s", o.Step, o.Path, user.Name, o.Errno)}
	switch denied := o.Errno == unix.EACCES || o.Errno == unix.EPERM; {
	case denied && o.Step == "reaching":
		f.Cause, f.Need = hostprep.FolderMode, "a folder that "+user.Name+" can search"
		f.Do = "chmod o+x " + shell.Quote(o.Path) + ", or see what getfacl shows, and what was denied: " + advice.Denials
	case denied:
		f.Cause, f.Need = hostprep.SecurityModule, "permission to create files there"
		f.Do = advice.Denials + "; or " + check.OrMemfd(h, g)
	default: // this process has limits of its own, as those of its cgroup
		f.Severity, f.Verdict = hostprep.Warning, hostprep.Unknown
		f.Need, f.Do = "one free page", "journalctl -k, or "+check.ToMemfd(h, g)
	}
	return f
}
