package launcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/journal"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
	"vmhuge/internal/versions"
)

// Autostart returns the names of the domains that start with the host and ask for
// huge pages.
func (l *Launcher) Autostart() ([]string, error) {
	all, err := l.Names()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range all {
		d, err := l.find(name)
		if err != nil {
			continue // it has just gone
		}
		auto, err := d.GetAutostart()
		demand, derr := l.demand(d.xml)
		if err == nil && auto && derr == nil && demand.Backing != pages.None {
			names = append(names, name)
		}
		_ = d.Free()
	}
	return names, nil
}

// Guest returns a domain as a preparation of the host needs it, and says whether
// it runs. The host keeps reserve bytes of ordinary memory; 0: the rule's.
func (l *Launcher) Guest(name string, reserve int64) (guest hostprep.Guest, running bool, err error) {
	what := "preparing the host for " + name
	if err := l.needHost(what); err != nil {
		return guest, false, err
	}
	d, err := l.find(name)
	if err != nil {
		return guest, false, err
	}
	defer d.Free()
	demand, err := l.demand(d.xml)
	if err != nil {
		return guest, false, advice.About(err, "%s", what)
	}
	if demand.Backing == pages.None {
		return guest, false, advice.New(what, "its XML asks for no huge pages", "run vmhuge enable "+shell.Operand(name)+" first")
	}
	guest, err = l.guest(d, demand, reserve)
	return guest, d.state.active(), err
}

// Mend makes the changes that the start of a domain lacks but for the pages, and
// says what a plain start would come to then.
func (l *Launcher) Mend(name string, reserve int64) (Report, error) {
	d, err := l.find(name)
	if err != nil {
		return Report{}, err
	}
	defer d.Free()
	r, _ := l.inspect(d, reserve)
	if d.state.active() {
		return l.running(d, r)
	}
	changes := hostprep.Fixes(r.Findings)
	if len(changes) == 0 {
		return r, nil
	}
	if err := (journal.Journal{Host: l.host}).Apply(changes); err != nil {
		return r, advice.About(err, "preparing the host for %s", d.name)
	}
	r, _ = l.inspect(d, reserve)
	r.Changed = changes
	return r, nil
}

// RestartDaemon has the libvirt daemon read again what it reads only once, the
// mounts and qemu.conf, and returns its name; "": none runs, and the next one
// reads them anyway. Guests go on where libvirt keeps the paths that they were started with.
func (l *Launcher) RestartDaemon(ctx context.Context) (string, error) {
	daemon, err := libvirtd.ReadDaemon(l.host)
	if err != nil || daemon == nil {
		return "", err
	}
	what := "restarting " + daemon.Name
	if _, err := libvirtd.ReadQEMUConf(l.host, l.conf); errors.Is(err, libvirtd.ErrConf) {
		return "", advice.About(err, "%s", what)
	}
	version := l.versions().libvirt
	running, err := l.conn.ListDomains()
	if err != nil {
		return "", refused(err, what)
	}
	if !versions.RestartKeeps.In(version, 0) && len(running) > 0 {
		return "", advice.New(what, fmt.Sprintf("restarting libvirt %s may make it lose track of running guests, and %d are running", hostprep.VersionText(version), len(running)),
			"shut them down first")
	}
	if err := hook.RestartDaemon(*daemon); err != nil {
		return "", err
	}
	return daemon.Name, l.reconnect(ctx, what)
}

// reconnect waits for a daemon that starts.
func (l *Launcher) reconnect(ctx context.Context, what string) error {
	_, _ = l.conn.Close()
	for tries := 0; ; tries++ {
		conn, err := libvirt.NewConnect(socketURI(l.uri, l.host, ""))
		if err == nil {
			l.conn = conn
			return nil
		}
		if tries == 60 || ctx.Err() != nil {
			return refused(err, what)
		}
		time.Sleep(500 * time.Millisecond)
	}
}
