package launcher

import (
	"context"
	"fmt"
	"slices"
	"time"

	"libvirt.org/go/libvirt"

	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/internal/smaps"
	"vmhuge/xml"
)

// awaitMemory waits until the memory of a guest is as wanted, the time is up or the user has
// interrupted it, and returns what it is then.
func awaitMemory(ctx context.Context, d *domain, what string, timeout time.Duration, wanted func(xml.Memory) bool) (m xml.Memory, reached bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		m, err = liveMemory(d, what)
		if err != nil || wanted(m) {
			return m, err == nil, err
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return m, false, nil
		}
	}
}

// detachDIMM asks the guest to give a DIMM up, and waits for it. The guest may do so later.
func (l *Launcher) detachDIMM(ctx context.Context, d *domain, p resizing, what string, o ResizeOptions) error {
	o.Progress.say("waiting for the guest to give up a DIMM")
	if err := d.DetachDeviceFlags(p.xml, libvirt.DOMAIN_DEVICE_MODIFY_LIVE); err != nil {
		return refused(err, what)
	}
	_, gone, err := awaitMemory(ctx, d, what, o.Timeout, func(m xml.Memory) bool {
		return !slices.ContainsFunc(m.Devices, func(other xml.MemoryDevice) bool { return other.Kind == pages.DIMM && other.Slot == p.device.Slot })
	})
	if err != nil || gone {
		return err
	}
	why := fmt.Sprintf("the guest has not given up its DIMM of %s within %s", pages.FormatKiB(p.device.SizeKiB), o.Timeout)
	if ctx.Err() != nil {
		why = fmt.Sprintf("interrupted before the guest has given up its DIMM of %s", pages.FormatKiB(p.device.SizeKiB))
	}
	return advice.New(what, why, "it keeps the memory and its pages: run the command again when its operating system is up and can spare the memory")
}

// unmapped is how long QEMU may take to unmap what libvirt has taken from it.
const unmapped = 5 * time.Second

// awaitUnmapped waits until QEMU has unmapped what a change took from it again, but for the pages
// by which it grew: a DIMM goes a moment after libvirt says so. Of virtio-mem QEMU tells once a
// second only, so that libvirt may say that nothing was plugged of a growth that failed. What is
// there then, stays with the guest's claim.
func (l *Launcher) awaitUnmapped(pid int, p resizing, grew int64, before []smaps.Mapping) {
	size := p.demand.Items[0].PageSize
	count := func(mappings []smaps.Mapping) int64 {
		if p.kind == pages.VirtioMem {
			_, there := smaps.Hugetlb(mappings)
			return there[size]
		}
		return smaps.Lasting(mappings)[size]
	}
	for deadline := time.Now().Add(unmapped); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		now, err := l.mappings(pid, p)
		if err != nil || count(now) <= count(before)+grew {
			return
		}
	}
}

// requestMemory has a virtio-mem device plug more or less, and waits for the guest's driver. It
// returns by how many pages the guest has grown: what the guest has not plugged in time it is
// no more asked for, and what it has not unplugged it may keep.
func (l *Launcher) requestMemory(ctx context.Context, d *domain, p resizing, what string, o ResizeOptions) (grew int64, err error) {
	o.Progress.say("waiting for the guest's virtio-mem driver")
	if err := d.UpdateDeviceFlags(p.xml, libvirt.DOMAIN_DEVICE_MODIFY_LIVE); err != nil {
		return 0, refused(err, what)
	}
	target := p.device.RequestedKiB + p.kib
	plugged := func(m xml.Memory) int64 {
		if p.device.Index < len(m.Devices) {
			return m.Devices[p.device.Index].CurrentKiB
		}
		return 0
	}
	m, reached, err := awaitMemory(ctx, d, what, o.Timeout, func(m xml.Memory) bool {
		return p.kib > 0 && plugged(m) >= target || p.kib < 0 && plugged(m) <= target
	})
	if err != nil {
		return 0, err
	}
	if reached {
		return p.pages(), nil
	}
	// Ask for what is there: the guest must not go on when nobody looks.
	back := p.device.RequestedKiB
	if p.kib < 0 {
		back = plugged(m)
	}
	late := ""
	if asked, err := l.requestAgain(d, p, back); err != nil {
		late = ", and could not be told to leave it: " + err.Error()
	} else if asked && p.kib > 0 {
		m, _, err = awaitMemory(context.WithoutCancel(ctx), d, what, o.Timeout, func(m xml.Memory) bool { return plugged(m) <= p.device.CurrentKiB })
		if err != nil {
			return 0, err
		}
	}
	within := "within " + o.Timeout.String()
	if ctx.Err() != nil {
		within = "before it was interrupted"
	}
	size := p.demand.Items[0].PageSize.KiB()
	has := plugged(m) - p.device.CurrentKiB
	if p.kib > 0 {
		if late != "" {
			return p.pages(), advice.New(what, "the guest's virtio-mem driver has not plugged "+pages.FormatKiB(p.kib)+" "+within+late, "its pages are kept for it")
		}
		why := "the guest's virtio-mem driver has not plugged " + pages.FormatKiB(p.kib) + " " + within
		return max(0, has) / size, advice.New(what, why, "check that its operating system is up and has the driver, and run the command again, with more time (--timeout)")
	}
	why := fmt.Sprintf("the guest's virtio-mem driver has unplugged %s of %s %s%s", pages.FormatKiB(max(0, -has)), pages.FormatKiB(-p.kib), within, late)
	return min(0, has) / size, advice.New(what, why, "free memory in the guest, and run the command again for the rest")
}

// requestAgain sets what a virtio-mem device is to plug; false: it is so already.
func (l *Launcher) requestAgain(d *domain, p resizing, kib int64) (asked bool, err error) {
	live, err := d.GetXMLDesc(0)
	if err != nil {
		return false, err
	}
	m, err := xml.ReadMemory([]byte(live))
	if err != nil || p.device.Index >= len(m.Devices) || m.Devices[p.device.Index].RequestedKiB == kib {
		return false, err
	}
	_, device, err := xml.RequestMemory([]byte(live), m.Devices[p.device.Index], kib)
	if err != nil {
		return false, err
	}
	return true, d.UpdateDeviceFlags(device, libvirt.DOMAIN_DEVICE_MODIFY_LIVE)
}
