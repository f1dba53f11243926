package launcher

import (
	"net/url"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep/host"
)

// Which domains are meant.
type Which libvirt.ConnectListAllDomainsFlags

// The domains that run or are paused, those that don't, and all.
const (
	Active   = Which(libvirt.CONNECT_LIST_DOMAINS_ACTIVE)
	Inactive = Which(libvirt.CONNECT_LIST_DOMAINS_INACTIVE)
	All      = Active | Inactive
)

// ReadNames returns the names of the domains that a libvirt on this host has,
// as far as anybody may read them: no password is asked for, and no host beyond
// the network. Where there is no answer, there are none.
func ReadNames(uri string, host host.Host, which Which) (names []string) {
	if u, err := url.Parse(uri); err != nil || u.Host != "" {
		return nil
	}
	conn, err := libvirt.NewConnectReadOnly(socketURI(uri, host, "-ro"))
	if err != nil {
		return nil
	}
	l := Launcher{conn: conn}
	defer l.Close()
	names, _ = l.list(which)
	return names
}
