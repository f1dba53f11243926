package hostprep

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"vmhuge/hostprep/pool"
)

// systemBase is where the system driver has its guests' folders on each mount.
const systemBase = "libvirt/qemu"

// foldersStep opens libvirt's folders on every mount that it uses to QEMU's user,
// and removes what dead guests have left there and others can't use.
var foldersStep = Step{"folders", func(h Host, p Preparation) ([]Finding, error) {
	conf, err := h.QEMUConf("")
	if err != nil {
		return nil, err
	}
	user, err := h.QEMUUser(conf)
	if err != nil {
		return nil, err
	}
	mounts, _, err := h.driverMounts(conf)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, m := range mounts {
		below, err := h.unsearchable(m, systemBase, user)
		if err != nil {
			return findings, err
		}
		findings = append(findings, below...)
		if below, err = h.deadDirs(path.Join(m.Point, systemBase), user); err != nil {
			return findings, err
		}
		findings = append(findings, below...)
	}
	return findings, nil
}}

// newDir is the age up to which a guest's folder may be that of one whose QEMU
// is yet to come.
const newDir = time.Minute

// deadDirs finds the folders of no running guest that are not QEMU's user's. A
// guest whose start gets the same id and name would be given them as they are.
func (h Host) deadDirs(base string, user User) ([]Finding, error) {
	entries, err := os.ReadDir(h.Root.Path(base))
	if errors.Is(err, fs.ErrNotExist) || user.UID == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	guests, err := h.commandLines()
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, e := range entries {
		id, _, _ := strings.Cut(e.Name(), "-")
		_, err := strconv.Atoi(id)
		// In QEMU's arguments is the folder itself, or with a memfd that of its
		// sockets, /var/lib/libvirt/qemu/domain-3-web1/.
		if err != nil || strings.Contains(guests, "/domain-"+e.Name()+"/") || strings.Contains(guests, base+"/"+e.Name()) {
			continue
		}
		dir := path.Join(base, e.Name())
		st, err := h.lstat(dir)
		if err != nil {
			return findings, err
		}
		if st == nil || !isDir(st) || st.Uid == uint32(user.UID) || time.Since(time.Unix(st.Mtim.Unix())) < newDir {
			continue
		}
		f := Finding{
			Severity: Warning, Cause: FolderStale,
			Have: fmt.Sprintf("%s is of no running guest, and is %s", dir, ownerText(st)),
			Need: "no folder there, or one of " + user.Name,
			Do:   "remove what is in it, and the folder",
		}
		if inside, err := os.ReadDir(h.Root.Path(dir)); err == nil && len(inside) == 0 {
			f.mend(Change{Kind: KindRmdir, Path: dir, From: ownerText(st)})
		}
		findings = append(findings, f)
	}
	return findings, nil
}

// commandLines are the arguments of every QEMU with a guest of libvirt's.
func (h Host) commandLines() (string, error) {
	guests, err := pool.FindGuests(h.Root)
	var all strings.Builder
	for _, process := range guests {
		if text, err := h.Root.Read("proc", strconv.Itoa(process.PID), "cmdline"); err == nil { // else it has ended
			all.WriteString(text)
		}
	}
	return all.String(), err
}
