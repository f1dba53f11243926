package hostfs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
)

// Libvirt is where a libvirt has its files: the three directories that it was built with, in
// the words of its build.
type Libvirt struct {
	Etc string `json:"sysconfdir"`
	Var string `json:"localstatedir"`
	Run string `json:"runstatedir"`
}

// UsualLibvirt is where distributions have them.
var UsualLibvirt = Libvirt{Etc: "/etc", Var: "/var", Run: "/run"}

// ConfDir has qemu.conf, the hooks and the domains.
func (l Libvirt) ConfDir() string { return l.Etc + "/libvirt" }

// StateDir has the daemons' sockets, and QEMUState what the driver notes of running guests.
func (l Libvirt) StateDir() string  { return l.Run + "/libvirt" }
func (l Libvirt) QEMUState() string { return l.Run + "/libvirt/qemu" }

// QEMULib has the guests' own folders; it belongs to QEMU's user.
func (l Libvirt) QEMULib() string { return l.Var + "/lib/libvirt/qemu" }

// QEMULogs has a log for each domain.
func (l Libvirt) QEMULogs() string { return l.Var + "/log/libvirt/qemu" }

// LibvirtFile is the setting of where libvirt's files are. The hook goes by it alone.
const LibvirtFile = "/etc/vmhuge/libvirt.json"

// libvirts are the answers that this process goes by, each found once: they are asked for
// with nearly every file of libvirt's.
var libvirts sync.Map // libvirtFound by Root

type libvirtFound struct {
	Libvirt
	err error // of the setting
}

// Libvirt says where this host's libvirt has its files: as SetLibvirt or the setting says,
// else where distributions have them. With a setting that can't be read it is that, too.
func (r Root) Libvirt() Libvirt { return r.foundLibvirt().Libvirt }

// LibvirtErr says why Libvirt does not go by the setting.
func (r Root) LibvirtErr() error { return r.foundLibvirt().err }

func (r Root) foundLibvirt() libvirtFound {
	known, ok := libvirts.Load(r)
	if !ok {
		l, _, err := r.LibvirtSetting()
		known, _ = libvirts.LoadOrStore(r, libvirtFound{l, err})
	}
	return known.(libvirtFound)
}

// SetLibvirt has this process go by what was found.
func (r Root) SetLibvirt(l Libvirt) { libvirts.Store(r, libvirtFound{l, nil}) }

// LibvirtSetting reads the setting; one that it leaves out is the usual. false: there is none.
func (r Root) LibvirtSetting() (l Libvirt, set bool, err error) {
	text, err := r.Read(LibvirtFile)
	if errors.Is(err, fs.ErrNotExist) {
		return UsualLibvirt, false, nil
	}
	l = UsualLibvirt
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(&l)
	}
	for _, dir := range []string{l.Etc, l.Var, l.Run} {
		if err == nil && !IsCleanPath(dir) {
			err = fmt.Errorf("%q is not the whole path of a directory", dir)
		}
	}
	if err != nil {
		return UsualLibvirt, true, fmt.Errorf("%s: %w", LibvirtFile, err)
	}
	return l, true, nil
}

// IsCleanPath says that a path is whole and as short as it can be.
func IsCleanPath(p string) bool {
	return strings.HasPrefix(p, "/") && path.Clean(p) == p && !strings.ContainsRune(p, 0)
}
