package prepare

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/pages"
)

// userStep lets a user's plain QEMU and qemu:///session use huge pages, with no more
// rights than that takes: a folder of their own on each hugetlbfs, and its path in their
// qemu.conf.
var userStep = Step{"user", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	if p.User == "" {
		return nil, nil
	}
	user, err := h.User(p.User, "")
	if errors.Is(err, host.ErrNoUser) {
		return nil, nil // unknownNames tells
	}
	if err != nil {
		return nil, err
	}
	if user.UID == 0 {
		return []hostprep.Finding{{Severity: hostprep.Note, Have: "root can use every hugetlbfs already", Need: "nothing", Do: "leave --user out"}}, nil
	}
	folders, err := userFolders(h, p)
	if err != nil {
		return nil, err
	}
	var findings []hostprep.Finding
	for _, folder := range folders {
		more, err := userFolder(h, p, user, folder)
		if err != nil {
			return findings, err
		}
		findings = append(findings, more...)
	}
	for _, plan := range []func(host.Host, Options, host.User, []boot.Folder) ([]hostprep.Finding, error){userConf, userLock} {
		more, err := plan(h, p, user, folders)
		if err != nil {
			return findings, err
		}
		findings = append(findings, more...)
	}
	return findings, nil
}}

// userFolders are the folders of Options.User. A reboot removes them with the mount, so
// that they are made at each boot. Neither they nor the mounts need to exist yet.
func userFolders(h host.Host, p Options) ([]boot.Folder, error) {
	if p.User == "" {
		return nil, nil
	}
	user, err := h.User(p.User, "")
	if errors.Is(err, host.ErrNoUser) || user.UID == 0 && err == nil { // userStep tells
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if user.Name == "." || user.Name == ".." || strings.Contains(user.Name, "/") {
		return nil, fmt.Errorf("%q is not a name of a folder", user.Name)
	}
	sizes, err := userSizes(h, p, user)
	var folders []boot.Folder
	for _, size := range sizes {
		point, err := mountPoint(h, size, p.Persist)
		if err != nil {
			return nil, err
		}
		folders = append(folders, boot.Folder{Path: path.Join(point, user.Name), State: fmt.Sprintf("0700 %d:%d", user.UID, user.GID)})
	}
	return folders, err
}

// userSizes are the page sizes of the user's guests and of the pages that were asked for;
// without these, those of all mounts.
func userSizes(h host.Host, p Options, user host.User) ([]pages.Size, error) {
	var sizes []pages.Size
	for _, g := range p.guests() {
		if g.Session && g.UID == user.UID {
			sizes = append(sizes, hostprep.FileSizes(g)...)
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
func userFolder(h host.Host, p Options, user host.User, folder boot.Folder) ([]hostprep.Finding, error) {
	var findings []hostprep.Finding
	root := path.Dir(folder.Path)
	st, err := h.Lstat(root)
	if err != nil {
		return nil, err
	}
	// groupsStep adds the user to the group that was asked for.
	if st != nil && p.MountGroup == "" && host.Missing(user, st, host.MaySearch) != 0 {
		f := hostprep.Finding{
			Severity: hostprep.Warning, Verdict: hostprep.NoAccess,
			Have: fmt.Sprintf("%s is %s, and %s cannot search it", root, host.OwnerText(st), user.Name),
			Need: "a mount that the user can search",
		}
		if name, ok := h.NamedGroup(int(st.Gid)); ok && st.Gid != 0 && st.Mode&0o010 != 0 && !user.In(int(st.Gid)) {
			f.Fix(change.NewMember(user.Name, name))
		} else {
			f.Fix(change.Change{Kind: change.KindChmod, Path: root, From: host.ModeText(st.Mode), To: host.ModeText(st.Mode | host.Missing(user, st, host.MaySearch))})
		}
		findings = append(findings, f)
	}
	if st, err = h.Lstat(folder.Path); err != nil {
		return findings, err
	}
	f := hostprep.Finding{
		Severity: hostprep.Warning, Verdict: hostprep.NoAccess,
		Have: user.Name + " has no folder " + folder.Path,
		Need: "one that nobody else can write to",
	}
	switch {
	case st == nil:
		f.Fix(change.Change{Kind: change.KindMkdir, Path: folder.Path, To: folder.State, EachBoot: p.Persist})
	case !host.IsDir(st) || st.Uid != uint32(user.UID) || host.Missing(user, st, host.MayWrite|host.MaySearch) != 0:
		f.Have = fmt.Sprintf("%s is there, and is %s", folder.Path, host.OwnerText(st))
		f.Do = "remove it if nobody uses it, and run vmhuge prepare again"
	default:
		return findings, nil
	}
	return append(findings, f), nil
}

// userConf names the folders in the user's qemu.conf: the session driver does not look
// for mounts by itself, and does not start with one that the user can't write to.
func userConf(h host.Host, _ Options, user host.User, folders []boot.Folder) ([]hostprep.Finding, error) {
	home, err := h.Home(user)
	if err != nil {
		return nil, err
	}
	file := path.Join(home, ".config", "libvirt", "qemu.conf")
	f := hostprep.Finding{
		Severity: hostprep.Warning, Verdict: hostprep.NoMount, Cause: hostprep.SessionMount,
		Have: file + " does not name the user's folders as hugetlbfs_mount",
		Need: "a folder of every size there, for qemu:///session",
	}
	if st, err := h.Lstat(home); err != nil || st == nil || !host.IsDir(st) || st.Uid != uint32(user.UID) {
		f.Have, f.Do = "the home of "+user.Name+", "+home+", is not a folder that they own", "create it, and run vmhuge prepare again"
		return []hostprep.Finding{f}, err
	}
	owner := fmt.Sprintf("%d:%d", user.UID, user.GID)
	var wanted []string
	changed, err := f.FixFile(h, change.FileEdit{Path: file, Fresh: "0600 " + owner, Dirs: "0700 " + owner, Edit: func(text string) (string, error) {
		conf, err := libvirtd.ParseQEMUConf(text)
		if err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		if wanted, err = userMounts(h, user, conf.HugetlbfsMounts, folders); err != nil || slices.Equal(wanted, conf.HugetlbfsMounts) {
			return text, err
		}
		return libvirtd.SetMounts(text, wanted)
	}}, "hugetlbfs_mount = the user's folders")
	if !changed || err != nil {
		return nil, err
	}
	if daemon := sessionDaemon(h, user); daemon != 0 {
		f.Do += fmt.Sprintf("; the user's libvirt daemon reads it when it starts: kill %d", daemon)
	}
	return []hostprep.Finding{f}, nil
}

// userMounts is a user's hugetlbfs_mount: the entries that the user can use, and folders
// for the page sizes that they don't cover.
func userMounts(h host.Host, user host.User, entries []string, folders []boot.Folder) ([]string, error) {
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	var mounts []string
	var covered []pages.Size
	for _, entry := range entries {
		m, ok, err := h.MountOf(entry)
		if err != nil {
			return nil, err
		}
		if !ok || entry == "" {
			continue
		}
		m.Point = entry
		writes, err := check.UserOwns(h, hostprep.Starter{BaseDir: libvirtd.SystemBase, Session: true, UID: user.UID, Conf: "", Libvirt: hostprep.UnknownVersion, QEMU: hostprep.UnknownVersion}, m)
		if err != nil {
			return nil, err
		}
		if writes || slices.ContainsFunc(folders, func(f boot.Folder) bool { return f.Path == entry }) {
			mounts, covered = append(mounts, entry), append(covered, m.Size)
		}
	}
	standard := ""
	if len(entries) > 0 {
		standard = libvirtd.DefaultMount(entries)
	}
	for _, folder := range folders {
		m, ok, err := h.MountOf(folder.Path)
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
	return libvirtd.KeepDefault(mounts, standard), nil
}

// sessionDaemon is the process of a user's libvirt; 0: none runs. The user may have put
// anything in its folder: root follows no link and waits for no pipe there, and is not
// told to kill another user's process.
func sessionDaemon(h host.Host, user host.User) int {
	for _, name := range libvirtd.DaemonNames {
		state, err := change.Look(h, change.KindFile, fmt.Sprintf("/run/user/%d/libvirt/%s.pid", user.UID, name))
		pid, numberErr := strconv.Atoi(strings.TrimSpace(change.TextOf(state)))
		if err != nil || numberErr != nil {
			continue
		}
		dir := "/proc/" + strconv.Itoa(pid)
		comm, err := h.Root.Read(dir, "comm")
		if st, statErr := h.Lstat(dir); err == nil && statErr == nil && st != nil && st.Uid == uint32(user.UID) && strings.TrimSpace(comm) == name {
			return pid
		}
	}
	return 0
}

// userLock lifts the limit of locked memory of a user with a <locked/> guest, which an
// unprivileged libvirtd can't.
func userLock(h host.Host, p Options, user host.User, _ []boot.Folder) ([]hostprep.Finding, error) {
	i := slices.IndexFunc(p.Guests, func(g hostprep.Guest) bool { return g.Session && g.UID == user.UID && g.Demand.Locked })
	if i < 0 {
		return nil, nil
	}
	const file = "/etc/security/limits.d/90-vmhuge.conf"
	line := user.Name + " - memlock unlimited"
	f := hostprep.Finding{
		Severity: hostprep.Warning, Verdict: hostprep.BadHost, Cause: hostprep.LockedMemory,
		Have: fmt.Sprintf("%s has <locked/>, but its limit of locked memory can't be raised by the libvirt daemon of %s", cmp.Or(p.Guests[i].Demand.Domain, "a guest"), user.Name),
		Need: "no limit",
	}
	changed, err := f.FixFile(h, change.SystemFile(file, change.WithLine(line)), line)
	if !changed || err != nil {
		return nil, err
	}
	f.Do += "; it takes effect at the user's next login"
	return []hostprep.Finding{f}, nil
}
