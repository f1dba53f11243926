package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/internal/lazyregexp"
	"vmhuge/internal/pages"
)

// Mount is one mounted hugetlbfs.
type Mount struct {
	Point     string      `json:"point"`
	Size      pages.Size  `json:"page_size_kib"`
	Mode      os.FileMode `json:"-"` // of its root, when it was mounted
	UID       int         `json:"-"`
	GID       int         `json:"-"`
	SizeLimit int64       `json:"size_bytes,omitempty"`     // size=; 0: no limit
	MinSize   int64       `json:"min_size_bytes,omitempty"` // min_size=: pages kept for users of this mount
	NrInodes  int64       `json:"nr_inodes,omitempty"`      // 0: no limit
	ReadOnly  bool        `json:"read_only,omitempty"`
	Hidden    string      `json:"hidden_by,omitempty"` // type of the file system mounted over it
}

// Mounts returns the mounted hugetlbfs in the order in which libvirt finds
// them.
func (h Host) Mounts() ([]Mount, error) {
	all, err := h.MountTable()
	if err != nil {
		return nil, err
	}
	var mounts []Mount
	for i, line := range all {
		if line.FsType != "hugetlbfs" {
			continue
		}
		m, err := h.hugetlbfs(line)
		if err != nil {
			return nil, err
		}
		if top := MountAt(all, line.Point); top >= 0 && top != i {
			m.Hidden = all[top].FsType
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

// MountOf returns the mounted hugetlbfs on which a path lies; false: it lies
// on something else.
func (h Host) MountOf(path string) (Mount, bool, error) {
	all, err := h.MountTable()
	if err != nil {
		return Mount{}, false, err
	}
	i := MountAt(all, h.Resolve(path))
	if i < 0 || all[i].FsType != "hugetlbfs" {
		return Mount{}, false, nil
	}
	m, err := h.hugetlbfs(all[i])
	return m, err == nil, err
}

// FreeOn returns the bytes that a mount with size= still gives. The counters
// of statfs are in pages; f_blocks is 0 without a limit and all ones with
// min_size= alone (hugetlbfs_statfs).
func (h Host) FreeOn(m Mount) (free int64, limited bool) {
	if m.SizeLimit == 0 {
		return 0, false
	}
	var s unix.Statfs_t
	if h.Real() && unix.Statfs(m.Point, &s) == nil && int64(s.Blocks) > 0 {
		return int64(s.Bavail) * int64(m.Size), true
	}
	return m.SizeLimit, true
}

// PageSizeAt returns the page size of the hugetlbfs on which a path lies, 0 if
// it is on something else.
func (h Host) PageSizeAt(path string) (pages.Size, error) {
	m, _, err := h.MountOf(path)
	return m.Size, err
}

// hugetlbfs returns a line of the mount table as a Mount.
func (h Host) hugetlbfs(line MountLine) (Mount, error) {
	m, err := line.hugetlbfs()
	if err == nil && m.Size == 0 { // older kernels do not show the default size
		var mem Meminfo
		mem, err = h.Meminfo()
		m.Size = mem.HugePageSize
	}
	return m, err
}

// Options are the mount options in the kernel's words and order.
func (m Mount) Options() string {
	text := "pagesize=" + strconv.FormatInt(m.Size.KiB(), 10) + "K"
	if m.Size.KiB()%1024 == 0 {
		text = "pagesize=" + strconv.FormatInt(m.Size.KiB()/1024, 10) + "M"
	}
	if m.UID != 0 {
		text += ",uid=" + strconv.Itoa(m.UID)
	}
	if m.GID != 0 {
		text += ",gid=" + strconv.Itoa(m.GID)
	}
	if m.Mode != 0o755 {
		text += fmt.Sprintf(",mode=%o", m.Mode)
	}
	for _, limit := range []struct {
		name string
		n    int64
	}{{"nr_inodes", m.NrInodes}, {"size", m.SizeLimit}, {"min_size", m.MinSize}} {
		if limit.n != 0 {
			text += "," + limit.name + "=" + strconv.FormatInt(limit.n, 10)
		}
	}
	return text
}

// MountLine is one line of mountinfo.
type MountLine struct {
	id, parent int
	Point      string
	FsType     string
	Flags      MountOptions // of this mount
	Options    MountOptions // of the file system
}

// MountOptions are options as the kernel writes them: rw,relatime.
type MountOptions string

// Has says whether an option is among them.
func (o MountOptions) Has(option string) bool {
	for one := range strings.SplitSeq(string(o), ",") {
		if one == option {
			return true
		}
	}
	return false
}

// CountsHugetlb says whether cgroup2 is mounted so that it counts huge pages as memory: with
// memory_hugetlb_accounting (Linux 6.6).
func (h Host) CountsHugetlb() (bool, error) {
	table, err := h.MountTable()
	if errors.Is(err, fs.ErrNotExist) { // facts of a host may have no mounts
		err = nil
	}
	return slices.ContainsFunc(table, func(m MountLine) bool {
		return m.FsType == "cgroup2" && m.Options.Has("memory_hugetlb_accounting")
	}), err
}

func (h Host) MountTable() ([]MountLine, error) { return Once(h, cacheKey("mounts"), h.readMountTable) }

func (h Host) readMountTable() ([]MountLine, error) {
	text, err := h.Root.Read("proc", "self", "mountinfo")
	if err != nil {
		return nil, err
	}
	return parseMountinfo(text)
}

// parseMountinfo reads /proc/self/mountinfo:
//
//	27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
//	44 24 0:41 / /dev/huge\040pages rw,nosuid shared:9 - hugetlbfs hugetlbfs rw,gid=107,mode=1770,pagesize=2M
//
// Source: Documentation/filesystems/proc.rst of the kernel, section 3.5.
//
// Hosts have hundreds of mounts, and the hook reads them at each start: the fields stay
// parts of the text.
func parseMountinfo(text string) ([]MountLine, error) {
	mounts := make([]MountLine, 0, strings.Count(text, "\n")+1)
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		mount, fs, ok := strings.Cut(line, " - ") // after the optional fields
		var f [6]string
		for i := range f {
			f[i], mount, _ = strings.Cut(mount, " ")
		}
		fsType, fs, _ := strings.Cut(fs, " ")
		_, options, hasOptions := strings.Cut(fs, " ")
		options, _, _ = strings.Cut(options, " ")
		id, err1 := strconv.Atoi(f[0])
		parent, err2 := strconv.Atoi(f[1])
		if !ok || f[5] == "" || !hasOptions || err1 != nil || err2 != nil {
			return nil, fmt.Errorf("mountinfo: %.80q is not a mount", line)
		}
		mounts = append(mounts, MountLine{id: id, parent: parent, Point: Unescape(f[4]), FsType: fsType,
			Flags: MountOptions(f[5]), Options: MountOptions(options)})
	}
	return mounts, nil
}

// Unescape undoes the octal escapes in which the kernel writes a blank, a tab,
// a line end and a backslash.
func Unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// hugetlbfs reads the options of a mounted hugetlbfs, which the kernel writes
// in hugetlbfs_show_options().
func (m MountLine) hugetlbfs() (Mount, error) {
	mount := Mount{
		Point: m.Point, Mode: 0o755,
		ReadOnly: m.Flags.Has("ro") || m.Options.Has("ro"),
	}
	for option := range strings.SplitSeq(string(m.Options), ",") {
		key, value, _ := strings.Cut(option, "=")
		var n int64
		var err error
		switch key {
		case "pagesize":
			mount.Size, err = pages.ParseSize(value)
		case "mode":
			var mode uint64
			mode, err = strconv.ParseUint(value, 8, 12)
			mount.Mode = os.FileMode(mode)
		case "uid", "gid", "size", "min_size", "nr_inodes":
			n, err = strconv.ParseInt(value, 10, 64)
		}
		if err != nil {
			return Mount{}, fmt.Errorf("mountinfo: %s has the option %q: %w", m.Point, option, err)
		}
		switch key {
		case "uid":
			mount.UID = int(n)
		case "gid":
			mount.GID = int(n)
		case "size":
			mount.SizeLimit = n
		case "min_size":
			mount.MinSize = n
		case "nr_inodes":
			mount.NrInodes = n
		}
	}
	return mount, nil
}

// MountAt returns the index of the mount on which a path lies, -1 for none. It
// walks as the kernel's lookup does, for neither the order of the lines nor
// the length of the points tells what is on top: a mount over a directory
// hides all that was mounted below it.
func MountAt(mounts []MountLine, path string) int {
	at := -1
	for range mounts { // as many steps at most: a broken table may hold a circle
		next := -1
		for i, m := range mounts {
			if Within(path, m.Point) && (next < 0 || len(m.Point) <= len(mounts[next].Point)) &&
				(at < 0 && isRoot(mounts, m) || at >= 0 && i != at && m.parent == mounts[at].id) {
				next = i
			}
		}
		if next < 0 {
			return at
		}
		at = next
	}
	return at
}

// isRoot says that a mount's parent is not in the table: it is the root of
// this process, or of what a chroot shows.
func isRoot(mounts []MountLine, m MountLine) bool {
	return !slices.ContainsFunc(mounts, func(o MountLine) bool { return o.id == m.parent && o.id != m.id })
}

// Within says whether a path is dir or lies below it.
func Within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// sizeInName is the page size in a folder's name: hugepages1G, huge-2MB.
var sizeInName = lazyregexp.New(`([0-9]+[kKmMgG])i?[bB]?$`)

// PointFor returns the first of these folders that has no hugetlbfs, and is for one with pages
// of a size: by its name or, where that says none, of the default size, which a mount without
// options has; "": there is none.
func (h Host) PointFor(size pages.Size, folders []string) (string, error) {
	mem, err := h.Meminfo()
	if err != nil {
		return "", err
	}
	for _, folder := range folders {
		named := mem.HugePageSize
		if word := sizeInName.Get().FindStringSubmatch(folder); word != nil {
			if named, err = pages.ParseSize(word[1]); err != nil {
				continue
			}
		}
		_, there, err := h.MountOf(folder)
		if err != nil {
			return "", err
		}
		if !there && named == size && path.IsAbs(folder) {
			return path.Clean(folder), nil
		}
	}
	return "", nil
}

// NewPoint is where a hugetlbfs goes that is not there.
func (h Host) NewPoint(size pages.Size) (string, error) {
	mem, err := h.Meminfo()
	if err != nil {
		return "", err
	}
	point := "/dev/hugepages"
	if _, taken, err := h.MountOf(point); err != nil || taken || size != mem.HugePageSize {
		return point + pages.SizeWord(size), err // as in the sample of qemu.conf
	}
	return point, nil
}
