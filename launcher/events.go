package launcher

import (
	"sync"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep/host"
)

// eventLoop runs libvirt's event loop until the process ends. Only connections that are
// opened after it hear of anything.
var eventLoop = sync.OnceValue(func() error {
	if err := libvirt.EventRegisterDefaultImpl(); err != nil {
		return refused(err, "starting libvirt's event loop")
	}
	go func() {
		for libvirt.EventRunDefaultImpl() == nil {
		}
	}()
	return nil
})

// A daemon that has not answered for keepAliveSeconds × keepAliveTries is taken for dead.
const (
	keepAliveSeconds = 5
	keepAliveTries   = 4
)

// Follow is Open with a connection that calls changed when libvirt tells of a change of a
// domain, and when the connection is lost. changed must not wait.
func Follow(uri string, h host.Host, changed func()) (*Launcher, error) {
	if err := eventLoop(); err != nil {
		return nil, err
	}
	l, err := Open(uri, h)
	if err != nil {
		return nil, err
	}
	c := l.conn
	// Drivers in this process have no daemon that could be lost.
	if c.RegisterCloseCallback(func(*libvirt.Connect, libvirt.ConnectCloseReason) { changed() }) == nil {
		l.unfollow = append(l.unfollow, func() { _ = c.UnregisterCloseCallback() })
	}
	_ = c.SetKeepAlive(keepAliveSeconds, keepAliveTries)
	follow := func(id int, err error) error {
		if err == nil {
			l.unfollow = append(l.unfollow, func() { _ = c.DomainEventDeregister(id) })
		}
		return err
	}
	// Defined, undefined, started, paused, stopped, migrated.
	if err := follow(c.DomainEventLifecycleRegister(nil, func(*libvirt.Connect, *libvirt.Domain, *libvirt.DomainEventLifecycle) { changed() })); err != nil {
		l.Close()
		return nil, refused(err, "asking "+l.uri+" for its events")
	}
	// Memory that is plugged, unplugged and resized. An older daemon lacks some of these.
	_ = follow(c.DomainEventDeviceAddedRegister(nil, func(*libvirt.Connect, *libvirt.Domain, *libvirt.DomainEventDeviceAdded) { changed() }))
	_ = follow(c.DomainEventDeviceRemovedRegister(nil, func(*libvirt.Connect, *libvirt.Domain, *libvirt.DomainEventDeviceRemoved) { changed() }))
	_ = follow(c.DomainEventBalloonChangeRegister(nil, func(*libvirt.Connect, *libvirt.Domain, *libvirt.DomainEventBalloonChange) { changed() }))
	_ = follow(c.DomainEventMemoryDeviceSizeChangeRegister(nil, func(*libvirt.Connect, *libvirt.Domain, *libvirt.DomainEventMemoryDeviceSizeChange) { changed() }))
	return l, nil
}

// Alive says whether the connection still works, without asking the daemon.
func (l *Launcher) Alive() bool {
	alive, err := l.conn.IsAlive()
	return err == nil && alive
}
