// Package change has a change of a host as data, and what of it is there now. It makes
// none: that is for package journal.
package change

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
)

// Kind says what a Change does.
type Kind string

// The kinds of changes, and how From and To are written. "" is: not there.
const (
	KindChmod  Kind = "chmod"  // of a folder: 0755
	KindChown  Kind = "chown"  // of a folder: 0:107
	KindMkdir  Kind = "mkdir"  // mode and owner: 0755 0:0
	KindRmdir  Kind = "rmdir"  // the same
	KindMount  Kind = "mount"  // a hugetlbfs: its options, pagesize=2M
	KindPool   Kind = "pool"   // a pool's nr_hugepages; pool.Ledger makes it
	KindFile   Kind = "file"   // of a small file: mode and owner, and from the next line on its text
	KindSysfs  Kind = "sysfs"  // of a file of sysfs that is one value, or lists those there are: madvise
	KindLink   Kind = "link"   // a symbolic link: where it points
	KindCopy   Kind = "copy"   // of a program: mode, owner and hash, 0755 0:0 sha256:3a7b…
	KindMember Kind = "member" // of a group: its name and the user's, kvm:alice

	// What is ours on the kernel's command line: hugepagesz=1G hugepages=2. Path
	// is a file of the boot loader's, or the folder of its entries.
	KindKernelArgs Kind = "kernel-args"
)

// Change is one change of the host, as data: Path has From, and shall have To.
type Change struct {
	Kind Kind   `json:"kind"`
	Path string `json:"path"`
	From string `json:"from"`
	To   string `json:"to"`
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
		return strings.Join(c.MemberCommands()[0], " ")
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

// OnDisk says that what the change makes outlives a reboot. All else is the
// kernel's and ends with it.
func (c Change) OnDisk() bool {
	return c.isFile() || c.Kind == KindLink || c.Kind == KindMember || c.Kind == KindKernelArgs || (c.Kind == KindMkdir && !host.Within(c.Path, "/dev"))
}

// Searchable are the bits that libvirt adds to the root of each hugetlbfs, for
// the guests of all users to get to their folders (qemuHugepageMakeBasedir).
const Searchable = 0o011

// Look returns what is there now, written as From and To are.
func Look(h host.Host, kind Kind, file string) (string, error) {
	return Change{Kind: kind, Path: file}.Now(h)
}

// Now returns what of the change's Path is there now.
func (c Change) Now(h host.Host) (string, error) {
	dir, name := path.Split(path.Clean(c.Path))
	parent, err := h.OpenDir(dir)
	if err != nil {
		return "", err
	}
	defer unix.Close(parent)
	return c.Find(h, parent, name)
}

// Find is look within an open folder.
func (c Change) Find(h host.Host, parent int, name string) (string, error) {
	if c.Kind == KindMount {
		m, ok, err := h.MountOf(c.Path)
		if !ok || m.Point != path.Clean(c.Path) {
			return "", err
		}
		return m.Options(), nil
	}
	if c.isFile() {
		return c.findFile(parent, name)
	}
	if c.Kind == KindSysfs {
		return ReadSysfs(parent, name)
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
	if err == nil && !host.IsDir(&st) {
		err = unix.ENOTDIR
	}
	switch c.Kind {
	case KindChmod:
		return host.ModeText(st.Mode), err
	case KindChown:
		_, owner, _ := strings.Cut(host.OwnerText(&st), " ")
		return owner, err
	}
	// One that libvirt has opened for searching is ours still.
	widened := st
	for _, state := range []string{c.From, c.To} {
		if mode, _, _, err := ParseOwner(state); err == nil {
			widened.Mode = st.Mode&^0o7777 | mode
			if st.Mode&0o7777 == mode|Searchable && host.OwnerText(&widened) == state {
				return state, nil
			}
		}
	}
	return host.OwnerText(&st), err
}

// ParseOwner reads what ownerText wrote, and leaves what follows it.
func ParseOwner(text string) (mode uint32, uid, gid int, err error) {
	if _, err := fmt.Sscanf(text, "%o %d:%d", &mode, &uid, &gid); err != nil {
		return 0, 0, 0, fmt.Errorf("%q is no mode and owner", text)
	}
	return mode, uid, gid, nil
}

// Join writes changes as one line, as a person would type them.
func Join(changes []Change) string {
	var lines []string
	for _, c := range changes {
		lines = append(lines, c.String())
	}
	return strings.Join(lines, " && ")
}
