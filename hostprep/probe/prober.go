package probe

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"time"

	"vmhuge/hostprep"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/ledger"
)

// Command is the hidden command that a Prober runs. Its argument is the Probe as JSON, or -
// for one on standard input.
const Command = "probe-as-qemu"

// Prober tries the ways of Probes, each in a process of its own. The first of these is begun
// at once, beside the connecting to libvirt: its start takes longer than what it has to do.
// The way is tried last all the same, as a page that it maps would be missing for the checks.
type Prober struct {
	host  host.Host
	first chan *attempt // nil: it could not be begun
	taken bool          // the first
}

// NewProber begins the first process, if this is the running system's root, who alone can
// become QEMU's user. Close ends it where nothing was to try.
func NewProber(h host.Host) *Prober {
	p := &Prober{host: h, first: make(chan *attempt, 1)}
	if p.can() {
		go func() { p.first <- p.begin() }()
	} else {
		p.taken = true
	}
	return p
}

func (p *Prober) can() bool { return os.Geteuid() == 0 && p.host.Real() }

// Close lets a process go that waits for a way.
func (p *Prober) Close() {
	if p.taken {
		return
	}
	p.taken = true
	go func() {
		if a := <-p.first; a != nil {
			a.in.Close()
			_ = a.cmd.Wait()
		}
	}()
}

// Findings has QEMU's user try the way to a guest's pages, on each mount that the
// guest uses, where no other check has found what blocks it. Only root can, and
// where anything keeps it from trying there is nothing to tell.
func (p *Prober) Findings(h host.Host, g hostprep.Guest, findings []hostprep.Finding) []hostprep.Finding {
	known := func(f hostprep.Finding) bool {
		return f.Severity == hostprep.Blocker && check.FoundBy(f, check.PageSize, check.Mount, check.Path)
	}
	if !p.can() || g.Session || slices.ContainsFunc(findings, known) {
		return nil
	}
	user, mounts, err := check.WayOf(h, g)
	if err != nil {
		return nil
	}
	var found []hostprep.Finding
	for _, m := range mounts {
		dir := path.Join(m.Point, g.BaseDir)
		if st, err := h.Lstat(dir); err != nil || st == nil || !host.IsDir(st) {
			continue // libvirt makes it
		}
		way := Probe{Mount: m.Point, Dir: dir, Size: m.Size, UID: user.UID, GID: user.GID, Groups: user.Groups}
		o, err := host.Once(h, cacheKey("probe "+dir), func() (Obstacle, error) {
			var o Obstacle
			err := ledger.WithSpare(h.Root, m.Size, func(spare bool) (err error) {
				way.Map = spare
				o, err = p.try(way)
				return err
			})
			return o, err
		})
		if err == nil && o.Step != "" {
			found = append(found, o.finding(h, g, user))
		}
	}
	return found
}

// try goes the way: in the hook's program where it is there, which loads no libvirt and so
// takes a third of the time, else in this one.
func (p *Prober) try(way Probe) (Obstacle, error) {
	var a *attempt
	if p.taken {
		a = p.begin()
	} else {
		p.taken, a = true, <-p.first
	}
	if a != nil {
		if o, err := a.ask(way); err == nil {
			return o, nil // an older hook knows no probe
		}
	}
	a, err := beginIn("/proc/self/exe")
	if err != nil {
		return Obstacle{}, err
	}
	return a.ask(way)
}

func (p *Prober) begin() *attempt {
	program, err := hook.Program(p.host)
	if err != nil {
		return nil
	}
	a, err := beginIn(program)
	if err != nil {
		return nil
	}
	return a
}

// attempt is a process that waits for a Probe.
type attempt struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out bytes.Buffer
}

func beginIn(program string) (*attempt, error) {
	a := &attempt{cmd: exec.Command(program, Command, "-")}
	a.cmd.Stdout, a.cmd.Dir, a.cmd.Env = &a.out, "/", []string{}
	var err error
	if a.in, err = a.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return a, a.cmd.Start()
}

// ask has the process go a way, and waits for five seconds at most.
func (a *attempt) ask(way Probe) (Obstacle, error) {
	hangs := time.AfterFunc(5*time.Second, func() { _ = a.cmd.Process.Kill() })
	defer hangs.Stop()
	err := json.NewEncoder(a.in).Encode(way)
	a.in.Close()
	if ended := a.cmd.Wait(); err == nil {
		err = ended
	}
	var o Obstacle
	if err == nil {
		err = json.Unmarshal(a.out.Bytes(), &o)
	}
	return o, err
}
