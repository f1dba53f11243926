package launcher

import (
	"context"
	"os"
	"time"

	"vmhuge/hostprep/process"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"

	"libvirt.org/go/libvirt"
)

// Verify reads from the kernel what backs a running guest's RAM.
func (l *Launcher) Verify(name string) (Report, error) {
	if err := l.needHost("verifying " + name); err != nil {
		return Report{}, err
	}
	d, err := l.find(name)
	if err != nil {
		return Report{}, err
	}
	defer d.Free()
	r := Report{Name: d.name, UUID: d.uuid, State: d.state}
	if !d.state.active() {
		return r, advice.New("verifying "+d.name, "it does not run", "start it: vmhuge start "+shell.Operand(d.name))
	}
	return l.running(d, r)
}

// Wait is Verify, again and again while the kernel turns small pages into huge
// ones, until all of the RAM is on huge pages or the time is over. grew hears
// of every proof that is not the one before.
func (l *Launcher) Wait(ctx context.Context, name string, timeout time.Duration, grew func(Report)) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	huge := int64(-1)
	for {
		r, err := l.Verify(name)
		if err != nil || r.Proof.Verdict == proof.AllHuge {
			return r, err
		}
		if now := r.Proof.RAMKiB - r.Proof.SmallKiB; now != huge {
			huge = now
			grew(r)
		}
		select {
		case <-ctx.Done():
			return r, nil
		case <-time.After(time.Second):
		}
	}
}

// prove reads the memory of a running domain's QEMU, which is one of these. libvirt may hear a moment
// later than the kernel of a DIMM that has left the guest: a proof that lacks some of its reserved
// pages counts only if the guest still has as much RAM then.
func (l *Launcher) prove(d *domain, running map[string]process.Process) (proof.Proof, error) {
	what := "verifying " + d.name
	qemu, ram, backends, err := l.memory(what, d, running)
	if err != nil {
		return proof.Proof{}, err
	}
	for tries := 5; ; tries-- {
		p, err := proof.Read(l.host, qemu.PID, ram, backends...)
		if err != nil || p.Verdict != proof.Partly || p.Hugetlb() == 0 || tries == 0 {
			return p, err
		}
		time.Sleep(poll)
		before := ram
		if _, ram, backends, err = l.memory(what, d, running); err != nil || ram == before {
			return p, err
		}
	}
}

// memory finds a running domain's QEMU, which is one of these, and what RAM it has: how
// many KiB, in which backends.
func (l *Launcher) memory(what string, d *domain, running map[string]process.Process) (qemu process.Process, ramKiB int64, backends []pages.Backend, err error) {
	live, err := d.GetXMLDesc(0)
	if err != nil {
		return qemu, 0, nil, refused(err, what)
	}
	demand, err := l.demand([]byte(live))
	if err != nil {
		return qemu, 0, nil, advice.About(err, "%s", what)
	}
	var info *libvirt.DomainInfo
	info, err = d.GetInfo()
	if err != nil {
		return qemu, 0, nil, refused(err, what)
	}
	qemu, ok := running[d.uuid]
	if !ok {
		do := "run vmhuge as root, on the host itself"
		if os.Geteuid() == 0 {
			do = "run it again, for QEMU may just have ended; or run vmhuge on the host itself, not in a container"
		}
		return qemu, 0, nil, advice.New(what, "no QEMU process with its UUID is visible", do)
	}
	ramKiB = int64(info.MaxMem)
	for _, backend := range demand.Backends {
		if backend.Kind == pages.VirtioMem {
			ramKiB -= backend.MemoryKiB // not plugged yet
		}
	}
	return qemu, ramKiB, demand.Backends, nil
}
