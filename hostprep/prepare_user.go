package hostprep

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"vmhuge/internal/pages"
)

// userStep gives a user's plain QEMU and qemu:///session pages, with no more
// permission than that takes: a folder of their own on each hugetlbfs, and its
// name in their qemu.conf.
var userStep = Step{"user", func(h Host, p Preparation) ([]Finding, error) {
	if p.User == "" {
		return nil, nil
	}
	user, err := h.user(p.User, "")
	if errors.Is(err, errNoUser) {
		return []Finding{{Severity: Blocker, Verdict: BadHost, Have: "there is no user " + p.User,
			Need: "a user for --user", Do: "name another, or make this one with useradd"}}, nil
	}
	if err != nil {
		return nil, err
	}
	if user.UID == 0 {
		return []Finding{{Severity: Note, Have: "root may use every hugetlbfs as it is", Need: "nothing", Do: "leave --user out"}}, nil
	}
	folders, err := h.userFolders(p)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, folder := range folders {
		more, err := h.userFolder(p, user, folder)
		if err != nil {
			return findings, err
		}
		findings = append(findings, more...)
	}
	for _, plan := range []func(Host, Preparation, User, []Folder) ([]Finding, error){Host.userConf, Host.userLock} {
		more, err := plan(h, p, user, folders)
		if err != nil {
			return findings, err
		}
		findings = append(findings, more...)
	}
	return findings, nil
}}

// userFolders are the folders of Preparation.User, which end with the mount and
// must be made again at boot. They need not be there yet, nor the mounts.
func (h Host) userFolders(p Preparation) ([]Folder, error) {
	if p.User == "" {
		return nil, nil
	}
	user, err := h.user(p.User, "")
	if errors.Is(err, errNoUser) || user.UID == 0 && err == nil { // userStep tells
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if user.Name == "." || user.Name == ".." || strings.Contains(user.Name, "/") {
		return nil, fmt.Errorf("%q is no name of a folder", user.Name)
	}
	sizes, err := h.userSizes(p, user)
	var folders []Folder
	for _, size := range sizes {
		point, err := h.mountPoint(size)
		if err != nil {
			return nil, err
		}
		folders = append(folders, Folder{path.Join(point, user.Name), fmt.Sprintf("0700 %d:%d", user.UID, user.GID)})
	}
	return folders, err
}

// userSizes are the sizes of the pages that a user's guests ask for, or that the
// pools shall have, else of all that is mounted.
func (h Host) userSizes(p Preparation, user User) ([]pages.Size, error) {
	var sizes []pages.Size
	for _, g := range p.guests() {
		if g.Session && g.UID == user.UID {
			sizes = append(sizes, fileSizes(g)...)
		}
	}
	for _, need := range p.Pages {
		sizes = append(sizes, need.Size)
	}
	sizes = slices.DeleteFunc(sizes, func(s pages.Size) bool { return s == 0 })
	if len(sizes) == 0 {
		mounts, err := h.Mounts()
		if err != nil {
			return nil, err
		}
		for _, m := range mounts {
			if m.Hidden == "" {
				sizes = append(sizes, m.Size)
			}
		}
	}
	if len(sizes) == 0 {
		mem, err := h.Meminfo()
		if err != nil || mem.HugePageSize == 0 {
			return nil, err
		}
		sizes = append(sizes, mem.HugePageSize)
	}
	slices.Sort(sizes)
	return slices.Compact(sizes), nil
}

// userFolder says what the user's folder on one mount lacks, and what keeps the
// user from getting there.
func (h Host) userFolder(p Preparation, user User, folder Folder) ([]Finding, error) {
	var findings []Finding
	root := path.Dir(folder.Path)
	st, err := h.lstat(root)
	if err != nil {
		return nil, err
	}
	// Members of the group that was asked for: groupsStep.
	if st != nil && p.MountGroup == "" && missing(user, st, maySearch) != 0 {
		f := Finding{
			Severity: Warning, Verdict: NoAccess,
			Have: fmt.Sprintf("%s is %s, and %s may not search it", root, ownerText(st), user.Name),
			Need: "a mount that the user gets through",
		}
		if gid := int(st.Gid); gid != 0 && st.Mode&0o010 != 0 && !user.in(gid) {
			f.mend(memberChange(user.Name, h.groupName(gid)))
		} else {
			f.mend(Change{Kind: KindChmod, Path: root, From: modeText(st.Mode), To: modeText(st.Mode | missing(user, st, maySearch))})
		}
		findings = append(findings, f)
	}
	if st, err = h.lstat(folder.Path); err != nil {
		return findings, err
	}
	f := Finding{
		Severity: Warning, Verdict: NoAccess,
		Have: user.Name + " has no folder " + folder.Path,
		Need: "one that nobody else may write to",
	}
	switch {
	case st == nil:
		f.mend(Change{Kind: KindMkdir, Path: folder.Path, To: folder.State, EachBoot: p.Persist})
	case !isDir(st) || st.Uid != uint32(user.UID) || missing(user, st, mayWrite|maySearch) != 0:
		f.Have = fmt.Sprintf("%s is there, and is %s", folder.Path, ownerText(st))
		f.Do = "remove it if nobody uses it, and run vmhuge prepare again"
	default:
		return findings, nil
	}
	return append(findings, f), nil
}

// userConf has the user's libvirt use the folders: its session driver looks for
// no mounts by itself, and does not start with one that the user can't write.
func (h Host) userConf(_ Preparation, user User, folders []Folder) ([]Finding, error) {
	home, err := h.home(user)
	if err != nil {
		return nil, err
	}
	file := path.Join(home, ".config", "libvirt", "qemu.conf")
	f := Finding{
		Severity: Warning, Verdict: NoMount, Cause: SessionMount,
		Have: file + " does not name the user's folders as hugetlbfs_mount",
		Need: "a folder of every size there, for qemu:///session",
	}
	if st, err := h.lstat(home); err != nil || st == nil || !isDir(st) || st.Uid != uint32(user.UID) {
		f.Have, f.Do = "the home of "+user.Name+", "+home+", is no folder of theirs", "make it, and run vmhuge prepare again"
		return []Finding{f}, err
	}
	owner := fmt.Sprintf("%d:%d", user.UID, user.GID)
	var wanted []string
	changed, err := f.mendFile(h, fileEdit{path: file, fresh: "0600 " + owner, dirs: "0700 " + owner, edit: func(text string) (string, error) {
		conf, err := parseQEMUConf(strings.NewReader(text))
		if err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		if wanted, err = h.userMounts(user, conf.HugetlbfsMounts, folders); err != nil || slices.Equal(wanted, conf.HugetlbfsMounts) {
			return text, err
		}
		return setMounts(text, wanted)
	}}, "hugetlbfs_mount = the user's folders")
	if !changed || err != nil {
		return nil, err
	}
	if daemon := h.sessionDaemon(user); daemon != 0 {
		f.Do += fmt.Sprintf("; the user's libvirtd reads it when it starts: kill %d", daemon)
	}
	return []Finding{f}, nil
}

// userMounts is a user's hugetlbfs_mount: the entries that work for the user, and
// the folders of the sizes that these lack.
func (h Host) userMounts(user User, entries []string, folders []Folder) ([]string, error) {
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	var mounts []string
	var covered []pages.Size
	for _, entry := range entries {
		m, ok, err := h.mountOf(entry)
		if err != nil {
			return nil, err
		}
		if !ok || entry == "" {
			continue
		}
		m.Point = entry
		writes, err := h.userOwns(Starter{BaseDir: systemBase, Session: true, UID: user.UID, Conf: "", Libvirt: UnknownVersion, QEMU: UnknownVersion}, m)
		if err != nil {
			return nil, err
		}
		if writes || slices.ContainsFunc(folders, func(f Folder) bool { return f.Path == entry }) {
			mounts, covered = append(mounts, entry), append(covered, m.Size)
		}
	}
	standard := ""
	if len(entries) > 0 {
		standard = defaultMount(entries)
	}
	for _, folder := range folders {
		m, ok, err := h.mountOf(folder.Path)
		if err != nil {
			return nil, err
		}
		if ok && slices.Contains(covered, m.Size) {
			continue
		}
		mounts = append(mounts, folder.Path)
		if standard == "" && (!ok || m.Size == mem.HugePageSize) {
			standard = folder.Path
		}
	}
	return keepDefault(mounts, standard), nil
}

// sessionDaemon is the process of a user's libvirt; 0: none runs. What lies in the
// user's folder may be anything: root neither follows it nor waits for it, nor is
// it to be told to end another's process.
func (h Host) sessionDaemon(user User) int {
	for _, name := range daemonNames {
		state, err := h.look(KindFile, fmt.Sprintf("/run/user/%d/libvirt/%s.pid", user.UID, name))
		pid, numberErr := strconv.Atoi(strings.TrimSpace(textOf(state)))
		if err != nil || numberErr != nil {
			continue
		}
		dir := "/proc/" + strconv.Itoa(pid)
		comm, err := h.Root.Read(dir, "comm")
		if st, statErr := h.lstat(dir); err == nil && statErr == nil && st != nil && st.Uid == uint32(user.UID) && strings.TrimSpace(comm) == name {
			return pid
		}
	}
	return 0
}

// userLock lifts the limit of locked memory for a user with a <locked/> guest: an
// unprivileged libvirtd may not.
func (h Host) userLock(p Preparation, user User, _ []Folder) ([]Finding, error) {
	i := slices.IndexFunc(p.Guests, func(g Guest) bool { return g.Session && g.UID == user.UID && g.Demand.Locked })
	if i < 0 {
		return nil, nil
	}
	const file = "/etc/security/limits.d/90-vmhuge.conf"
	line := user.Name + " - memlock unlimited"
	f := Finding{
		Severity: Warning, Verdict: BadHost, Cause: LockedMemory,
		Have: fmt.Sprintf("%s has <locked/>, and a limit of locked memory that the libvirtd of %s may not raise", cmp.Or(p.Guests[i].Demand.Domain, "a guest"), user.Name),
		Need: "no limit",
	}
	changed, err := f.mendFile(h, systemFile(file, withLine(line)), line)
	if !changed || err != nil {
		return nil, err
	}
	f.Do += "; it counts from the user's next login"
	return []Finding{f}, nil
}
