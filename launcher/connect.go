// Package launcher is the room that talks to libvirt: it finds domains,
// defines, starts, verifies and stops them, and unwinds what went wrong.
package launcher

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"libvirt.org/go/libvirt"

	"vmhuge/explain"
	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/hostprep/probe"
	"vmhuge/internal/advice"
	"vmhuge/internal/hostfs"
)

// Launcher is a connection to a libvirt daemon and the host it runs on.
type Launcher struct {
	conn *libvirt.Connect
	host host.Host

	test    bool // libvirt's test driver, which keeps definitions and runs nothing
	qemu    bool // the driver is QEMU's: others have no huge pages to prove
	remote  bool // the daemon runs on another host, whose files can't be seen
	session bool // qemu:///session: the daemon runs as its user
	uri     string
	conf    string // the driver's qemu.conf; "": the system driver's
	baseDir string // of the driver, below each hugetlbfs mount

	// Probe has QEMU's user try the way to its pages, for a check alone; nil: nobody tries.
	Probe *probe.Prober

	survey   *survey // nil: libvirt is asked of each domain by itself
	versions func() versionPair
	unfollow []func() // take back what Follow asked libvirt to call

	// Notices are sentences about what was left behind by others and set right.
	Notices []string
}

// versionPair are those of the daemon and its QEMU, as 9001000 is 9.1.0; 0: it does
// not tell.
type versionPair struct{ libvirt, qemu uint32 }

// Versions are those of the daemon and its QEMU as texts, 9.1.0; "": it does not tell.
func (l *Launcher) Versions() (libvirt, qemu string) {
	v := l.versions()
	return versionText(v.libvirt), versionText(v.qemu)
}

func versionText(v uint32) string {
	if v == hostprep.UnknownVersion {
		return ""
	}
	return hostprep.VersionText(v)
}

// Open connects to a libvirt URI; "" is libvirt's own default for a user.
func Open(uri string, host host.Host) (*Launcher, error) {
	if uri == "" {
		uri = "qemu:///system"
	}
	if strings.HasPrefix(uri, "qemu:///embed") {
		// The embedded driver runs in this process and needs an event loop.
		if err := eventLoop(); err != nil {
			return nil, err
		}
	}
	conn, err := libvirt.NewConnect(socketURI(uri, host, ""))
	if err != nil {
		return nil, cannotConnect(err, host, uri)
	}
	l := &Launcher{conn: conn, host: host, uri: uri, baseDir: "libvirt/qemu"}
	l.versions = sync.OnceValue(func() versionPair {
		var v versionPair
		v.libvirt, _ = conn.GetLibVersion()
		v.qemu, _ = conn.GetVersion()
		return v
	})
	if real, err := conn.GetURI(); err == nil {
		l.uri = real // an alias of libvirt.conf is resolved
	}
	if u, err := url.Parse(l.uri); err == nil {
		driver, _, _ := strings.Cut(u.Scheme, "+")
		l.qemu, l.test, l.remote = driver == "qemu", driver == "test", isRemote(l.uri)
		switch u.Path {
		case "/session":
			l.session = os.Getuid() != 0
			if dir, err := os.UserConfigDir(); err == nil && l.session {
				l.conf = filepath.Join(dir, "libvirt", "qemu.conf")
			}
		case "/embed":
			root := u.Query().Get("root")
			l.conf = filepath.Join(root, "etc", "qemu.conf")
			// virDomainDriverGenerateRootHash() of libvirt.
			l.baseDir = fmt.Sprintf("libvirt/qemu-embed-%.4x", sha256.Sum256([]byte(root)))
		}
	}
	return l, nil
}

// socketURI is the URI with the socket of this host's daemon, where that is not the one that
// the libvirt which this program is linked with was built for. A user's own stays. kind is
// "-ro" for a read-only connection.
func socketURI(uri string, h host.Host, kind string) string {
	where := h.Root.Libvirt()
	if uri != "qemu:///system" || where.Run == hostfs.UsualLibvirt.Run {
		return uri
	}
	return uri + "?socket=" + url.QueryEscape(where.StateDir()+"/"+libvirtd.Socket(h)+kind)
}

// isRemote says whether the daemon of a URI runs on another host.
func isRemote(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil {
		return true
	}
	_, transport, _ := strings.Cut(u.Scheme, "+")
	return transport != "unix" && (transport != "" || u.Host != "")
}

// LibraryVersion is the version of the libvirt that is installed here, as it
// counts: 9000000 is 9.0.0. It asks no daemon; 0: not known.
func LibraryVersion() uint32 {
	version, _ := libvirt.GetVersion()
	return version
}

// cannotConnect names the line of qemu.conf that keeps the daemon from starting, else being
// root as the cure where nothing better is known: who is not is refused in as many words as
// there are ways to authenticate.
func cannotConnect(err error, h host.Host, uri string) error {
	what := "connecting to " + uri
	if uri == "qemu:///system" {
		if _, conf := libvirtd.ReadQEMUConf(h, ""); errors.Is(conf, libvirtd.ErrConf) {
			return advice.About(conf, "%s", what)
		}
	}
	names := explain.Names{}
	if !isRemote(uri) {
		names = Names(h, "")
	}
	err = refusedBy(err, what, names)
	if told := (*advice.Error)(nil); errors.As(err, &told) && told.Do == "" && os.Geteuid() != 0 {
		told.Do = runAsRoot
	}
	return err
}

// Close ends the connection; guests go on.
func (l *Launcher) Close() {
	for _, end := range l.unfollow {
		end()
	}
	_, _ = l.conn.Close()
}

// needHost refuses what must look at the files of the host itself.
func (l *Launcher) needHost(what string) error {
	switch {
	case !l.qemu:
		return advice.New(what, l.uri+" is not a QEMU host", "name one with -c qemu:///system")
	case l.remote:
		return advice.New(what, l.uri+" is another host, and its page pools cannot be read from here", "run vmhuge on that host")
	}
	return nil
}
