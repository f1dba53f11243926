package launcher

import (
	"errors"
	"strings"

	"libvirt.org/go/libvirt"

	"vmhuge/explain"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/advice"
)

const runAsRoot = "run as root, or join the group libvirt"

// refused turns an error of libvirt into one that a user can act on, by the
// same table as vmhuge explain.
func refused(err error, what string) error { return refusedBy(err, what, explain.Names{}) }

// Names are those of the system's libvirt on a host, for a domain of it. What can't be read
// is not known.
func Names(h host.Host, domain string) explain.Names {
	n := explain.Names{Domain: domain, Daemon: libvirtd.Name(h), Install: strings.TrimSpace(host.Install(h, host.Package{})), Conf: h.Root.Libvirt().ConfDir()}
	if conf, err := libvirtd.ReadQEMUConf(h, ""); err == nil {
		user, _ := libvirtd.QEMUUser(h, conf)
		n.User = user.Name
	}
	return n
}

// refusedBy is refused with the names that are known.
func refusedBy(err error, what string, names explain.Names) error {
	var e libvirt.Error
	if !errors.As(err, &e) {
		return advice.Wrap(err, what, "")
	}
	r := &advice.Error{What: what, Why: strings.TrimSpace(e.Message), Err: err}
	matches := explain.Error(int(e.Code), e.Message)
	if len(matches) == 0 {
		return r
	}
	r.Kind, r.Do = matches[0].Kind, matches[0].Cure(names)
	if matches[0].ID == "no-domain" {
		r.Why = matches[0].Cause // libvirt says it with the name a second time
	}
	return r
}
