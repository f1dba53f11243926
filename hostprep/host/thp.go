package host

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"vmhuge/internal/pages"
)

// THP is the host's setting of transparent huge pages.
type THP struct {
	Enabled string `json:"enabled"` // always, madvise, never; "": the kernel has none
	Defrag  string `json:"defrag"`
	Shmem   string `json:"shmem_enabled"` // of shared memory
}

var THPDir = []string{"sys", "kernel", "mm", "transparent_hugepage"}

// THP reads the settings below /sys/kernel/mm/transparent_hugepage.
func (h Host) THP() (THP, error) {
	var thp THP
	for name, to := range map[string]*string{"enabled": &thp.Enabled, "defrag": &thp.Defrag, "shmem_enabled": &thp.Shmem} {
		text, err := h.readTHP(h.THPFile(name)...)
		if err != nil {
			return THP{}, err
		}
		*to = ParseChoice(text)
	}
	return thp, nil
}

// readTHP reads a setting; "": the kernel has none of that name.
func (h Host) readTHP(name ...string) (string, error) {
	return h.ReadIfThere("/" + path.Join(append(slices.Clone(THPDir), name...)...))
}

// THPFile returns the file that decides a setting: since Linux 6.8 each size of
// page has its own, which usually inherits the one for all.
func (h Host) THPFile(name string) []string {
	size, err := h.THPSize()
	own := []string{fmt.Sprintf("hugepages-%dkB", size.KiB()), name}
	if text, readErr := h.readTHP(own...); err != nil || readErr != nil || text == "" || ParseChoice(text) == "inherit" {
		return []string{name}
	}
	return own
}

// THPSize is the size of a transparent huge page, and the default size of the architecture's
// reserved ones.
func (h Host) THPSize() (pages.Size, error) {
	bytes, err := h.Root.ReadInt(append(slices.Clone(THPDir), "hpage_pmd_size")...)
	if errors.Is(err, fs.ErrNotExist) || err == nil && bytes < pages.KiB { // a kernel without them, or before 4.11
		state, _ := h.Pools()
		return pages.Usual(h.Arch(), state.Sizes()), nil
	}
	return pages.Size(bytes), err
}

// FreeTHPs returns how many transparent huge pages the free memory of some nodes, nil: of
// all, has in one piece, and their size.
func (h Host) FreeTHPs(nodes []int) (free int64, size pages.Size, err error) {
	zones, err := h.Buddyinfo()
	if err != nil {
		return 0, 0, err
	}
	if size, err = h.THPSize(); err != nil {
		return 0, 0, err
	}
	small, err := h.SmallPage()
	if err != nil {
		return 0, 0, err
	}
	return Blocks(zones, nodes, size, small), size, nil
}

// SmallPage is the size of the host's small page. A fixture tree tells it by its
// huge pages: a page table of entries of 8 bytes fills a small one, and what it
// spans is a transparent huge page, and the default huge page unless the kernel's
// command line names another.
func (h Host) SmallPage() (pages.Size, error) {
	if h.Real() {
		return pages.Size(os.Getpagesize()), nil
	}
	bytes, err := h.Root.ReadInt(append(slices.Clone(THPDir), "hpage_pmd_size")...)
	huge := pages.Size(bytes)
	if errors.Is(err, fs.ErrNotExist) {
		var mem Meminfo
		mem, err = h.Meminfo()
		huge = cmp.Or(mem.HugePageSize, pages.Size2MiB)
	}
	small := pages.Size(4 * pages.KiB)
	for small*small/8 < huge {
		small *= 2
	}
	return small, err
}

// ParseChoice reads the value of a kernel file, or the chosen one where it
// lists all:
//
//	always [madvise] never
func ParseChoice(text string) string {
	_, rest, ok := strings.Cut(text, "[")
	if word, _, closed := strings.Cut(rest, "]"); ok && closed {
		return word
	}
	return strings.TrimSpace(text)
}
