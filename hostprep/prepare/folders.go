package prepare

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/hostprep/process"
)

// foldersStep lets QEMU's user search libvirt's folders on each mount, and removes folders
// of dead guests that belong to another user.
var foldersStep = Step{"folders", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	conf, err := libvirtd.ReadQEMUConf(h, "")
	if err != nil {
		return nil, err
	}
	user, err := libvirtd.QEMUUser(h, conf)
	if err != nil {
		return nil, err
	}
	mounts, _, err := libvirtd.DriverMounts(h, conf)
	if err != nil {
		return nil, err
	}
	var findings []hostprep.Finding
	for _, m := range mounts {
		below, err := check.Unsearchable(h, m, libvirtd.SystemBase, user)
		if err != nil {
			return findings, err
		}
		findings = append(findings, below...)
		if below, err = deadDirs(h, path.Join(m.Point, libvirtd.SystemBase), user); err != nil {
			return findings, err
		}
		findings = append(findings, below...)
	}
	return findings, nil
}}

// newDir is the age up to which a guest's folder may be that of a guest that is just
// starting.
const newDir = time.Minute

// deadDirs finds folders of no running guest that do not belong to QEMU's user. libvirt
// gives such a folder, as it is, to a guest that starts with the same ID and name.
func deadDirs(h host.Host, base string, user host.User) ([]hostprep.Finding, error) {
	entries, err := os.ReadDir(h.Root.Path(base))
	if errors.Is(err, fs.ErrNotExist) || user.UID == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	guests, err := commandLines(h)
	if err != nil {
		return nil, err
	}
	var findings []hostprep.Finding
	for _, e := range entries {
		id, _, _ := strings.Cut(e.Name(), "-")
		_, err := strconv.Atoi(id)
		// In QEMU's arguments is the folder itself, or with a memfd that of its
		// sockets, /var/lib/libvirt/qemu/domain-3-web1/.
		if err != nil || strings.Contains(guests, "/domain-"+e.Name()+"/") || strings.Contains(guests, base+"/"+e.Name()) {
			continue
		}
		dir := path.Join(base, e.Name())
		st, err := h.Lstat(dir)
		if err != nil {
			return findings, err
		}
		if st == nil || !host.IsDir(st) || st.Uid == uint32(user.UID) || time.Since(time.Unix(st.Mtim.Unix())) < newDir {
			continue
		}
		f := hostprep.Finding{
			Severity: hostprep.Warning, Cause: hostprep.FolderStale,
			Have: fmt.Sprintf("%s belongs to no running guest, and is %s", dir, host.OwnerText(st)),
			Need: "no folder there, or one of " + user.Name,
			Do:   "remove the folder and what is in it",
		}
		if inside, err := os.ReadDir(h.Root.Path(dir)); err == nil && len(inside) == 0 {
			f.Fix(change.Change{Kind: change.KindRmdir, Path: dir, From: host.OwnerText(st)})
		}
		findings = append(findings, f)
	}
	return findings, nil
}

// commandLines are the arguments of every QEMU with a guest of libvirt's.
func commandLines(h host.Host) (string, error) {
	guests, err := process.FindGuests(h.Root)
	var all strings.Builder
	for _, process := range guests {
		if text, err := h.Root.ReadProcess(process.PID, "cmdline"); err == nil { // else it has ended
			all.WriteString(text)
		}
	}
	return all.String(), err
}
