package host

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/internal/hostfs"
)

// mountUse is what running guests have of a mount: QEMU removes its files'
// names at once, so that only its mappings tell of them.
type mountUse struct {
	Files int64
	Bytes int64
	// Unknown are processes that do not let their mappings be read: what they have
	// of the mount is not counted.
	Unknown []int
}

// UseOf adds up the nameless files of a mount that processes have mapped.
func (h Host) UseOf(m Mount) (mountUse, error) {
	var use mountUse
	var st unix.Stat_t
	if err := unix.Stat(h.Root.Path(m.Point), &st); err != nil {
		return use, &fs.PathError{Op: "stat", Path: m.Point, Err: err}
	}
	device := fmt.Sprintf("%02x:%02x", unix.Major(st.Dev), unix.Minor(st.Dev))
	entries, err := os.ReadDir(h.Root.Path("/proc"))
	if err != nil {
		return use, err
	}
	ends := map[string]int64{} // of each file, by its inode
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		maps, err := h.Root.ReadProcess(pid, "maps")
		switch {
		case errors.Is(err, hostfs.ErrHeld):
			use.Unknown = append(use.Unknown, pid)
			continue
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
			continue // it has ended
		case err != nil:
			return use, err
		}
		for inode, end := range parseMaps(strings.NewReader(maps), device) {
			ends[inode] = max(ends[inode], end)
		}
	}
	for _, end := range ends {
		use.Files++
		use.Bytes += end
	}
	return use, nil
}

// parseMaps reads how far the nameless files of a device are mapped, by inode,
// from /proc/PID/maps:
//
//	7f2a40000000-7f2a44000000 rw-p 00000000 00:5a 41530      /dev/hugepages/libvirt/qemu/1-a/qemu_back_mem.pc.ram.HQ2nHZ (deleted)
//
// A line that is cut off, as of a process that ends, is passed over.
func parseMaps(r io.Reader, device string) map[string]int64 {
	ends := map[string]int64{}
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		f := strings.Fields(scan.Text())
		if len(f) < 7 || f[3] != device || f[len(f)-1] != "(deleted)" {
			continue
		}
		first, last, _ := strings.Cut(f[0], "-")
		from, err1 := strconv.ParseUint(first, 16, 62)
		to, err2 := strconv.ParseUint(last, 16, 62)
		offset, err3 := strconv.ParseUint(f[2], 16, 61)
		if errors.Join(err1, err2, err3) == nil && to > from {
			ends[f[4]] = max(ends[f[4]], int64(offset+to-from))
		}
	}
	return ends
}
