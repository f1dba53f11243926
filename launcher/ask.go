package launcher

import (
	"errors"
	"time"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hostpage"
	"vmhuge/hostprep/libvirtd"
)

// AskLibvirt asks the host's running daemon for its versions, without a right to
// change anything. It wakes none that sleeps: the host is looked at as it is. For
// QEMU's version a daemon that has just started looks at QEMU first, which takes
// it a second or two, and is not waited for.
func AskLibvirt(host host.Host) (told hostpage.Libvirt) {
	if d, err := libvirtd.ReadDaemon(host); err != nil || d == nil || host.Root.Path() != "/" {
		return told
	}
	answers := make(chan hostpage.Libvirt, 2) // first its own version, then with QEMU's
	go askVersions(host, answers)
	for _, patience := range []time.Duration{time.Second, 200 * time.Millisecond} {
		select {
		case told = <-answers:
		case <-time.After(patience):
			if told.Version == 0 {
				told.Err = errors.New("it has not in " + patience.String())
			}
		}
		if told.Err != nil {
			break
		}
	}
	return told
}

func askVersions(host host.Host, answers chan<- hostpage.Libvirt) {
	const uri = "qemu:///system"
	var told hostpage.Libvirt
	conn, err := libvirt.NewConnectReadOnly(socketURI(uri, host, "-ro"))
	if err == nil {
		defer conn.Close()
		told.Version, err = conn.GetLibVersion()
	}
	if err != nil {
		answers <- hostpage.Libvirt{Err: refusedBy(err, "connecting to "+uri, Names(host, ""))}
		return
	}
	answers <- told
	// Where it knows of no QEMU, that is for others to say.
	told.QEMU, _ = conn.GetVersion()
	answers <- told
}
