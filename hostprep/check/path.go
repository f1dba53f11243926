package check

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/shell"
	"vmhuge/internal/versions"
)

// Path asks whether the QEMU user gets to the folder in which libvirt
// lets it make its files, on each mount that the guest uses. libvirt itself
// opens the mount's root for searching, and makes what is missing, but leaves
// folders as they are that exist (qemuProcessBuildDestroyMemoryPathsImpl).
var Path = Check{"path", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	if g.Session {
		return nil, nil // the mount check asks for a folder of the user's own
	}
	user, mounts, err := WayOf(h, g)
	if err != nil {
		return nil, err
	}
	var findings []hostprep.Finding
	for _, m := range mounts {
		below, err := Unsearchable(h, m, g.BaseDir, user)
		if err == nil {
			findings = append(findings, below...)
			below, err = unmade(h, g, m, user)
		}
		if err == nil {
			findings = append(findings, below...)
			below, err = staleDirs(h, g, path.Join(m.Point, g.BaseDir), user)
		}
		if err != nil {
			return findings, err
		}
		findings = append(findings, below...)
	}
	return findings, nil
}}

// WayOf returns the mounts on which a guest's files will be, and the user that QEMU
// opens them as; where there are no mounts, none is looked up.
func WayOf(h host.Host, g hostprep.Guest) (user host.User, mounts []host.Mount, err error) {
	mounts, err = usedMounts(h, g)
	if err != nil || len(mounts) == 0 {
		return user, nil, err
	}
	user, err = RunsAs(h, g.Starter)
	return user, mounts, err
}

// Unsearchable finds the folders from below a mount's root down to base that a
// user may not search.
func Unsearchable(h host.Host, m host.Mount, base string, user host.User) ([]hostprep.Finding, error) {
	var findings []hostprep.Finding
	dir := m.Point
	for _, name := range strings.Split(base, "/") {
		dir = path.Join(dir, name)
		st, err := h.Lstat(dir)
		if err != nil || st == nil {
			return findings, err
		}
		f := hostprep.Finding{
			Severity: hostprep.Blocker, Verdict: hostprep.NoAccess, Cause: hostprep.FolderMode,
			Have: fmt.Sprintf("%s is %s", dir, host.OwnerText(st)),
			Need: "a folder that " + user.Name + " can search",
		}
		if !host.IsDir(st) {
			f.Have, f.Do = dir+" is not a folder", "rm "+shell.Quote(dir)
			return append(findings, f), nil
		}
		if lacks := host.Missing(user, st, host.MaySearch); lacks != 0 {
			f.Fix(change.Change{Kind: change.KindChmod, Path: dir, From: host.ModeText(st.Mode), To: host.ModeText(st.Mode | lacks)})
			findings = append(findings, f)
		}
	}
	return findings, nil
}

// unmade finds what libvirt leaves to root alone where a mount was mounted again since it
// started: older ones open the mount and make searchable folders on it only then.
func unmade(h host.Host, g hostprep.Guest, m host.Mount, user host.User) ([]hostprep.Finding, error) {
	folders := foldersOn(g, m.Point)
	if len(folders) == 0 {
		return nil, nil
	}
	daemon, err := libvirtd.ReadDaemon(h)
	if err != nil || daemon == nil { // it makes them when it starts
		return nil, err
	}
	f := hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.NoAccess, Cause: hostprep.FolderMode, Need: "a folder that " + user.Name + " can search"}
	var changes []change.Change
	root, err := h.Lstat(m.Point)
	if err != nil || root == nil {
		return nil, err
	}
	if lacks := host.Missing(user, root, host.MaySearch); lacks != 0 {
		f.Have = fmt.Sprintf("%s is %s", m.Point, host.OwnerText(root))
		changes = append(changes, change.Change{Kind: change.KindChmod, Path: m.Point, From: host.ModeText(root.Mode), To: host.ModeText(root.Mode | lacks)})
	}
	for _, c := range folders {
		st, err := h.Lstat(c.Path)
		if err != nil {
			return nil, err
		}
		if st == nil {
			f.Have = cmp.Or(f.Have, fmt.Sprintf("%s is not there, and libvirt %s makes it for root alone", c.Path, hostprep.VersionText(g.Libvirt)))
			changes = append(changes, c)
		}
	}
	if len(changes) == 0 {
		return nil, nil
	}
	f.Fix(changes...)
	return []hostprep.Finding{f}, nil
}

// foldersOn are libvirt's folders on a mount, for a libvirt that would make them for root
// alone: it makes them for all only when it starts.
func foldersOn(g hostprep.Guest, point string) (folders []change.Change) {
	if g.Session || !versions.MakesFolders.LackedBy(g.Libvirt, g.QEMU) {
		return nil
	}
	for _, name := range strings.Split(g.BaseDir, "/") {
		point = path.Join(point, name)
		folders = append(folders, change.Change{Kind: change.KindMkdir, Path: point, To: "0755 0:0"})
	}
	return folders
}

// staleDirs finds the folders of earlier starts of the guest that libvirt will
// reuse for the new start without changing their owner to the QEMU user: it does that
// only for folders that it creates. They remain after a crash, and have the wrong owner
// once user= in qemu.conf is changed.
func staleDirs(h host.Host, g hostprep.Guest, base string, user host.User) ([]hostprep.Finding, error) {
	if g.ID == 0 && g.RunningIDs == nil {
		return nil, nil
	}
	entries, err := os.ReadDir(h.Root.Path(base))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var findings []hostprep.Finding
	last := -1
	for _, e := range entries {
		id, isOurs := strings.CutSuffix(e.Name(), "-"+shortName(g.Demand.Domain))
		n, err := strconv.Atoi(id)
		if !isOurs || err != nil || user.UID == 0 {
			continue
		}
		if last < 0 {
			if last, err = lastID(h, g); err != nil {
				return findings, err
			}
		}
		dir := path.Join(base, e.Name())
		st, err := h.Lstat(dir)
		if err != nil {
			return findings, err
		}
		if n <= last || g.ID != 0 && n != g.ID || st == nil || !host.IsDir(st) || st.Uid == uint32(user.UID) {
			continue
		}
		f := hostprep.Finding{
			Severity: hostprep.Blocker, Verdict: hostprep.NoAccess, Cause: hostprep.FolderStale,
			Have: fmt.Sprintf("%s is left from an earlier start and belongs to another user: %s", dir, host.OwnerText(st)),
			Need: "no folder there, or one owned by " + user.Name,
		}
		if n > last+1 {
			f.Severity, f.Verdict = hostprep.Warning, ""
			f.Have += fmt.Sprintf("; the guest's start would fail on it if it became number %d since %s started", n, libvirtd.Name(h))
		}
		f.Fix(change.Change{Kind: change.KindRmdir, Path: dir, From: host.OwnerText(st)})
		findings = append(findings, f)
	}
	return findings, nil
}

// lastID returns the highest id that libvirt has given to a guest. libvirt counts up from
// the highest running id when it starts; the guests' logs have the ids given since. In the
// hook the next id is known.
func lastID(h host.Host, g hostprep.Guest) (int, error) {
	if g.ID != 0 {
		return g.ID - 1, nil
	}
	last := 0
	if len(g.RunningIDs) > 0 {
		last = slices.Max(g.RunningIDs)
	}
	if !g.System() {
		return last, nil
	}
	daemon, err := libvirtd.ReadDaemon(h)
	if err != nil || daemon == nil {
		return last, err
	}
	logs, err := os.ReadDir(h.Root.Path(h.Root.Libvirt().QEMULogs()))
	if errors.Is(err, fs.ErrNotExist) {
		return last, nil
	}
	for _, e := range logs {
		info, infoErr := e.Info()
		if infoErr != nil || !strings.HasSuffix(e.Name(), ".log") || info.ModTime().Before(daemon.Started) {
			continue
		}
		if text, err := h.ReadTail(h.Root.Libvirt().QEMULogs(), e.Name()); err == nil {
			last = max(last, libvirtd.IDSince(text, daemon.Started))
		}
	}
	return last, err
}

// shortName is what libvirt makes of a domain's name in paths: its first 20
// characters (virDomainDefGetShortName).
func shortName(name string) string {
	if r := []rune(name); len(r) > 20 {
		return string(r[:20])
	}
	return name
}
