package launcher

import (
	"vmhuge/hostprep"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/advice"
	"vmhuge/xml"

	"libvirt.org/go/libvirt"
)

// Verify reads from the kernel what a running guest's RAM lies on.
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
		return r, advice.New("verifying "+d.name, "it does not run", "start it: vmhuge start "+d.name)
	}
	return l.running(d, r)
}

// prove reads the memory of a running domain's QEMU.
func (l *Launcher) prove(d *domain) (hostprep.Proof, error) {
	what := "verifying " + d.name
	live, err := d.GetXMLDesc(0)
	if err != nil {
		return hostprep.Proof{}, refused(err, what)
	}
	size, err := l.host.DefaultPageSize(l.conf)
	if err != nil {
		return hostprep.Proof{}, err
	}
	demand, err := xml.Demand([]byte(live), size)
	if err != nil {
		return hostprep.Proof{}, advice.About(err, "verifying %s", d.name)
	}
	var info *libvirt.DomainInfo
	if info, err = d.GetInfo(); err != nil {
		return hostprep.Proof{}, refused(err, what)
	}
	guests, err := pool.FindGuests(l.host.Root)
	if err != nil {
		return hostprep.Proof{}, err
	}
	qemu, ok := guests[d.uuid]
	if !ok {
		return hostprep.Proof{}, advice.New(what, "no QEMU process with its UUID can be seen", "run vmhuge as root, on the host itself")
	}
	ram := int64(info.MaxMem)
	for _, item := range demand.Items {
		if item.Pages == 0 {
			ram -= item.MemoryKiB // virtio-mem: not plugged yet
		}
	}
	return l.host.Prove(qemu.PID, ram)
}
