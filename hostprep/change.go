package hostprep

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/internal/advice"
)

// ChangeKind says what a Change does.
type ChangeKind string

// The kinds of changes, and how From and To are written. "" is: not there.
const (
	KindChmod  ChangeKind = "chmod"  // of a folder: 0755
	KindChown  ChangeKind = "chown"  // of a folder: 0:107
	KindMkdir  ChangeKind = "mkdir"  // mode and owner: 0755 0:0
	KindRmdir  ChangeKind = "rmdir"  // the same
	KindMount  ChangeKind = "mount"  // a hugetlbfs: its options, pagesize=2M
	KindPool   ChangeKind = "pool"   // a pool's nr_hugepages; pool.Ledger makes it
	KindFile   ChangeKind = "file"   // of a small file: mode and owner, and from the next line on its text
	KindSysfs  ChangeKind = "sysfs"  // of a file of sysfs that is one value, or lists those there are: madvise
	KindLink   ChangeKind = "link"   // a symbolic link: where it points
	KindCopy   ChangeKind = "copy"   // of a program: mode, owner and hash, 0755 0:0 sha256:3a7b…
	KindMember ChangeKind = "member" // of a group: its name and the user's, kvm:alice

	// What is ours on the kernel's command line: hugepagesz=1G hugepages=2. Path
	// is a file of the boot loader's, or the folder of its entries.
	KindKernelArgs ChangeKind = "kernel-args"
)

// Change is one change of the host, as data: Path has From, and shall have To.
type Change struct {
	Kind ChangeKind `json:"kind"`
	Path string     `json:"path"`
	From string     `json:"from"`
	To   string     `json:"to"`
	// Source is the program that is copied, as this process sees it.
	Source string `json:"source,omitempty"`
	// EachBoot says that the host makes it anew at each boot, as a file on the
	// same record tells it to.
	EachBoot bool `json:"each_boot,omitempty"`
}

// String is the change as a line of shell.
func (c Change) String() string {
	mode, owner, _ := strings.Cut(c.To, " ")
	switch {
	case c.Kind == KindMember:
		return strings.Join(c.memberCommands()[0], " ")
	case c.Kind == KindKernelArgs:
		return c.edit()
	case c.Kind == KindChmod:
		return fmt.Sprintf("chmod %s %s (was %s)", c.To, c.Path, c.From)
	case c.Kind == KindChown:
		return fmt.Sprintf("chown %s %s (was %s)", c.To, c.Path, c.From)
	case c.Kind == KindPool || c.Kind == KindSysfs:
		return fmt.Sprintf("echo %s > %s (was %s)", c.To, c.Path, c.From)
	case c.Kind == KindMount && c.To != "":
		return fmt.Sprintf("mount -t hugetlbfs -o %s hugetlbfs %s", c.To, c.Path)
	case c.Kind == KindMount:
		return fmt.Sprintf("umount %s (was %s)", c.Path, c.From)
	case c.To == "" && (c.isFile() || c.Kind == KindLink):
		return "rm " + c.Path
	case c.Kind == KindLink:
		return fmt.Sprintf("ln -s %s %s", c.To, c.Path)
	case c.Kind == KindCopy:
		return fmt.Sprintf("install -m %s %s %s", mode, c.Source, c.Path)
	case c.Kind == KindFile && c.From != "":
		return c.edit()
	case c.Kind == KindFile:
		_, text, _ := strings.Cut(c.To, "\n")
		return fmt.Sprintf("printf '%s' > %s", printfText.Replace(text), c.Path)
	case c.To == "":
		return fmt.Sprintf("rmdir %s (was %s)", c.Path, c.From)
	case owner == "0:0":
		return fmt.Sprintf("mkdir -m %s %s", mode, c.Path)
	}
	return fmt.Sprintf("mkdir -m %s %s && chown %s %s", mode, c.Path, owner, c.Path)
}

// printfText writes a text as printf of a shell takes it between single quotes.
var printfText = strings.NewReplacer("\n", `\n`, `\`, `\\`, "%", "%%", "'", `'\''`)

// Reverse returns the change that takes c back. A copy has nothing to go back
// to but its absence: what it took the place of was a copy of ours, too.
func (c Change) Reverse() Change {
	c.From, c.To = c.To, c.From
	switch c.Kind {
	case KindMkdir:
		c.Kind = KindRmdir
	case KindRmdir:
		c.Kind = KindMkdir
	case KindCopy:
		if c.From != "" {
			c.To = ""
		}
	}
	return c
}

// isFile says that the change is one of a file, not of a folder or a pool.
func (c Change) isFile() bool { return c.Kind == KindFile || c.Kind == KindCopy }

// onDisk says that what the change makes outlives a reboot. All else is the
// kernel's and ends with it.
func (c Change) onDisk() bool {
	return c.isFile() || c.Kind == KindLink || c.Kind == KindMember || c.Kind == KindKernelArgs || (c.Kind == KindMkdir && !within(c.Path, "/dev"))
}

// Undo takes the change back.
func (c Change) Undo(h Host) error { return c.Reverse().Apply(h) }

// foreignError is the error of a change that did not find what it is to
// change: somebody else has been there.
type foreignError struct {
	change Change
	found  string
}

func (e *foreignError) Error() string {
	return fmt.Sprintf("%s: it is %s now, not %s", e.change.Path, orNothing(e.found), orNothing(e.change.From))
}

func orNothing(state string) string {
	if state == "" {
		return "not there"
	}
	return state
}

// Apply makes the change if it finds From. Symbolic links are never followed:
// the folders below a hugetlbfs may be other users' to write.
func (c Change) Apply(h Host) error {
	dir, name := path.Split(path.Clean(c.Path))
	parent, err := h.openDir(dir)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	c.clearHalves(parent, name)
	now, err := c.find(h, parent, name)
	if err == nil && now != c.From && (c.Kind != KindChmod || !h.opened(c, now)) {
		return &foreignError{c, now}
	}
	if err == nil {
		err = c.set(h, parent, name)
	}
	if err != nil {
		return advice.Wrap(err, c.String(), c.wayOut(err, parent, name))
	}
	return nil
}

// searchable are the bits that libvirt adds to the root of each hugetlbfs, for
// the guests of all users to get to their folders (qemuHugepageMakeBasedir).
const searchable = 0o011

// opened says that libvirt alone has changed the mode of a mount's root since.
func (h Host) opened(c Change, now string) bool {
	from, err1 := strconv.ParseUint(c.From, 8, 12)
	is, err2 := strconv.ParseUint(now, 8, 12)
	if err1 != nil || err2 != nil || is != from|searchable {
		return false
	}
	m, ok, err := h.mountOf(c.Path)
	return err == nil && ok && m.Point == path.Clean(c.Path)
}

// look returns what is there now, written as From and To are.
func (h Host) look(kind ChangeKind, file string) (string, error) {
	return Change{Kind: kind, Path: file}.now(h)
}

// now returns what of the change's Path is there now.
func (c Change) now(h Host) (string, error) {
	dir, name := path.Split(path.Clean(c.Path))
	parent, err := h.openDir(dir)
	if err != nil {
		return "", err
	}
	defer unix.Close(parent)
	return c.find(h, parent, name)
}

// find is look within an open folder.
func (c Change) find(h Host, parent int, name string) (string, error) {
	if c.Kind == KindMount {
		m, ok, err := h.mountOf(c.Path)
		if !ok || m.Point != path.Clean(c.Path) {
			return "", err
		}
		return m.options(), nil
	}
	if c.isFile() {
		return c.findFile(parent, name)
	}
	if c.Kind == KindSysfs {
		return readSysfs(parent, name)
	}
	if c.Kind == KindLink {
		return readLink(parent, name)
	}
	if c.Kind == KindMember {
		return c.findMember(parent, name)
	}
	if c.Kind == KindKernelArgs {
		return c.findArgs(parent, name)
	}
	var st unix.Stat_t
	err := unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil && !isDir(&st) {
		err = unix.ENOTDIR
	}
	switch c.Kind {
	case KindChmod:
		return modeText(st.Mode), err
	case KindChown:
		_, owner, _ := strings.Cut(ownerText(&st), " ")
		return owner, err
	}
	// One that libvirt has opened for searching is ours still.
	widened := st
	for _, state := range []string{c.From, c.To} {
		if mode, _, _, err := parseOwner(state); err == nil {
			widened.Mode = st.Mode&^0o7777 | mode
			if st.Mode&0o7777 == mode|searchable && ownerText(&widened) == state {
				return state, nil
			}
		}
	}
	return ownerText(&st), err
}

// set makes what is there what To says.
func (c Change) set(h Host, parent int, name string) error {
	switch c.Kind {
	case KindChmod:
		dir, err := openat(parent, name)
		if err != nil {
			return err
		}
		defer unix.Close(dir)
		mode, err := strconv.ParseUint(c.To, 8, 12)
		if err != nil {
			return err
		}
		return unix.Fchmod(dir, uint32(mode))

	case KindChown:
		dir, err := openat(parent, name)
		if err != nil {
			return err
		}
		defer unix.Close(dir)
		_, uid, gid, err := parseOwner("0 " + c.To)
		if err != nil {
			return err
		}
		return unix.Fchown(dir, uid, gid)

	case KindLink:
		if c.To == "" {
			return unix.Unlinkat(parent, name, 0)
		}
		return unix.Symlinkat(c.To, parent, name)

	case KindMkdir, KindRmdir:
		if c.To == "" {
			return rmdir(parent, name)
		}
		return mkdir(parent, name, c.To)

	case KindMount:
		// By way of the open folder, so that no other can take its place.
		at := fmt.Sprintf("/proc/self/fd/%d/%s", parent, name)
		if c.To == "" {
			return unix.Unmount(at, unix.UMOUNT_NOFOLLOW)
		}
		dir, err := openat(parent, name)
		if err != nil {
			return err
		}
		defer unix.Close(dir)
		return unix.Mount("hugetlbfs", fmt.Sprintf("/proc/self/fd/%d", dir), "hugetlbfs", unix.MS_NOSUID|unix.MS_NODEV, c.To)

	case KindFile, KindCopy:
		if c.To == "" {
			return unix.Unlinkat(parent, name, 0)
		}
		return c.writeFile(parent, name)

	case KindKernelArgs:
		return c.setArgs(parent, name)

	case KindSysfs:
		return writeSysfs(parent, name, c.To)

	case KindMember:
		return c.setMember(h)

	case KindPool:
		return errors.New("pages are added by the ledger alone")
	}
	return fmt.Errorf("unknown kind of change")
}

// parseOwner reads what ownerText wrote, and leaves what follows it.
func parseOwner(text string) (mode uint32, uid, gid int, err error) {
	if _, err := fmt.Sscanf(text, "%o %d:%d", &mode, &uid, &gid); err != nil {
		return 0, 0, 0, fmt.Errorf("%q is no mode and owner", text)
	}
	return mode, uid, gid, nil
}

// openDir opens a folder of the host step by step, refusing symbolic links
// below the root.
func (h Host) openDir(dir string) (int, error) {
	fd, err := unix.Open(h.Root.Path(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for _, name := range slices.DeleteFunc(strings.Split(dir, "/"), func(s string) bool { return s == "" }) {
		if err != nil {
			break
		}
		parent := fd
		fd, err = openat(parent, name)
		unix.Close(parent)
	}
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return fd, nil
}

// openat opens a folder and nothing else: a symbolic link is ENOTDIR.
func openat(parent int, name string) (int, error) {
	return unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}
