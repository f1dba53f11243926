package hostprep

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// pathCheck asks whether the QEMU user gets to the folder in which libvirt
// lets it make its files, on each mount that the guest uses. libvirt itself
// opens the mount's root for searching, and makes what is missing, but leaves
// folders as they are that exist (qemuProcessBuildDestroyMemoryPathsImpl).
var pathCheck = Check{"path", func(h Host, g Guest) ([]Finding, error) {
	if g.Session {
		return nil, nil // the mount check asks for a folder of the user's own
	}
	mounts, err := h.usedMounts(g)
	if err != nil || len(mounts) == 0 {
		return nil, err
	}
	user, err := h.runsAs(g.Starter)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, m := range mounts {
		below, err := h.unsearchable(m, g.BaseDir, user)
		if err == nil {
			findings = append(findings, below...)
			below, err = h.staleDirs(g, path.Join(m.Point, g.BaseDir), user)
		}
		if err != nil {
			return findings, err
		}
		findings = append(findings, below...)
	}
	return findings, nil
}}

// unsearchable finds the folders from below a mount's root down to base that a
// user may not search.
func (h Host) unsearchable(m Mount, base string, user User) ([]Finding, error) {
	var findings []Finding
	dir := m.Point
	for _, name := range strings.Split(base, "/") {
		dir = path.Join(dir, name)
		st, err := h.lstat(dir)
		if err != nil || st == nil {
			return findings, err
		}
		f := Finding{
			Severity: Blocker, Verdict: NoAccess, Cause: FolderMode,
			Have: fmt.Sprintf("%s is %s", dir, ownerText(st)),
			Need: "a folder that " + user.Name + " may search",
		}
		if !isDir(st) {
			f.Have, f.Do = dir+" is no folder", "rm "+dir
			return append(findings, f), nil
		}
		if lacks := missing(user, st, maySearch); lacks != 0 {
			f.mend(Change{Kind: KindChmod, Path: dir, From: modeText(st.Mode), To: modeText(st.Mode | lacks)})
			findings = append(findings, f)
		}
	}
	return findings, nil
}

// mend gives a finding the changes that vmhuge start makes to mend it.
func (f *Finding) mend(changes ...Change) {
	f.Changes = append(f.Changes, changes...)
	f.Fixable = true
	f.Do = startDoes + JoinChanges(f.Changes)
}

const startDoes = "vmhuge start does: "

// JoinChanges writes changes as one line, as a person would type them.
func JoinChanges(changes []Change) string {
	var lines []string
	for _, c := range changes {
		lines = append(lines, c.String())
	}
	return strings.Join(lines, " && ")
}

// staleDirs finds the folders of earlier starts of the guest that libvirt will
// take for the new one's without giving them to the QEMU user: it does so only
// with those that it makes. A crash leaves them, and another user= in qemu.conf
// makes them wrong.
func (h Host) staleDirs(g Guest, base string, user User) ([]Finding, error) {
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
	var findings []Finding
	last := -1
	for _, e := range entries {
		id, isOurs := strings.CutSuffix(e.Name(), "-"+shortName(g.Demand.Domain))
		n, err := strconv.Atoi(id)
		if !isOurs || err != nil || user.UID == 0 {
			continue
		}
		if last < 0 {
			if last, err = h.lastID(g); err != nil {
				return findings, err
			}
		}
		dir := path.Join(base, e.Name())
		st, err := h.lstat(dir)
		if err != nil {
			return findings, err
		}
		if n <= last || g.ID != 0 && n != g.ID || st == nil || !isDir(st) || st.Uid == uint32(user.UID) {
			continue
		}
		f := Finding{
			Severity: Blocker, Verdict: NoAccess, Cause: FolderStale,
			Have: fmt.Sprintf("%s is left from an earlier start and is %s", dir, ownerText(st)),
			Need: "no folder there, or one of " + user.Name,
		}
		if n > last+1 {
			f.Severity, f.Verdict = Warning, ""
			f.Have += fmt.Sprintf("; it is in the way of start %d since libvirtd started", n)
		}
		f.mend(Change{Kind: KindRmdir, Path: dir, From: ownerText(st)})
		findings = append(findings, f)
	}
	return findings, nil
}

// lastID returns the highest id that libvirt has given to a guest. It counts
// upward, from the highest id that runs when it starts; what it has counted
// since then stands in the guests' logs. In the hook the next id is known.
func (h Host) lastID(g Guest) (int, error) {
	if g.ID != 0 {
		return g.ID - 1, nil
	}
	last := 0
	if len(g.RunningIDs) > 0 {
		last = slices.Max(g.RunningIDs)
	}
	if !g.system() {
		return last, nil
	}
	daemon, err := h.Daemon()
	if err != nil || daemon == nil {
		return last, err
	}
	logs, err := os.ReadDir(h.Root.Path(DomainLogDir))
	if errors.Is(err, fs.ErrNotExist) {
		return last, nil
	}
	for _, e := range logs {
		info, infoErr := e.Info()
		if infoErr != nil || !strings.HasSuffix(e.Name(), ".log") || info.ModTime().Before(daemon.Started) {
			continue
		}
		if text, err := h.readTail(DomainLogDir, e.Name()); err == nil {
			last = max(last, idSince(text, daemon.Started))
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
