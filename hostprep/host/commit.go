package host

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"vmhuge/internal/pages"
)

// The values of vm.overcommit_memory (Documentation/mm/overcommit-accounting.rst
// of the kernel).
const (
	OvercommitGuess  = 0
	OvercommitAlways = 1
	OvercommitNever  = 2
)

// Commit is what the kernel lets programs map, in bytes.
type Commit struct {
	Mode      int64 // vm.overcommit_memory; Guess where the file is missing
	Swap      int64 // SwapTotal
	Limit     int64 // CommitLimit, which counts with OvercommitNever alone
	Committed int64 // Committed_AS
	// Ratio is how many percent of the RAM beside the pools of huge pages Limit has, so that it
	// falls as they grow; 0: it does not depend on them (vm.overcommit_kbytes).
	Ratio int64
}

// NoLimit is more memory than a host has.
const NoLimit = int64(1) << 62

// Left is how many bytes the kernel commits beyond what it has; less than nothing where the pools
// have lowered the limit below that.
func (c Commit) Left() int64 {
	if c.Mode != OvercommitNever {
		return NoLimit
	}
	return c.Limit - c.Committed
}

// PoolRoom is how many bytes the pools of huge pages may grow before Limit comes within a quarter
// of the host's reserve of what is committed, when programs no longer can fork and map memory.
//
// Source: vm_commit_limit() in the kernel's mm/util.c: (RAM − huge pages) × ratio + swap.
func (c Commit) PoolRoom(reserve int64) int64 {
	if c.Mode != OvercommitNever || c.Ratio <= 0 {
		return NoLimit
	}
	return max(0, c.Left()-reserve/4) * 100 / c.Ratio
}

// Commit reads /proc/sys/vm/overcommit_memory and /proc/meminfo.
func (h Host) Commit() (Commit, error) {
	return Once(h, cacheKey("commit"), h.readCommit)
}

func (h Host) readCommit() (Commit, error) {
	mode, err := h.Root.ReadInt("proc", "sys", "vm", "overcommit_memory")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Commit{}, err
	}
	text, err := h.Root.Read("proc", "meminfo")
	if err != nil {
		return Commit{}, err
	}
	kib, err := ParseMeminfo(strings.NewReader(text))
	if err != nil {
		return Commit{}, err
	}
	limit, ok := kib["CommitLimit"]
	if !ok && mode == OvercommitNever {
		return Commit{}, fmt.Errorf("%s has no CommitLimit", h.Root.Path("proc", "meminfo"))
	}
	c := Commit{Mode: mode, Swap: kib["SwapTotal"] * pages.KiB, Limit: limit * pages.KiB, Committed: kib["Committed_AS"] * pages.KiB}
	if mode != OvercommitNever {
		return c, nil
	}
	fixed, err := h.Root.ReadInt("proc", "sys", "vm", "overcommit_kbytes")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	if c.Ratio, err = h.Root.ReadInt("proc", "sys", "vm", "overcommit_ratio"); errors.Is(err, fs.ErrNotExist) {
		c.Ratio, err = 50, nil // the kernel's own
	}
	if fixed > 0 {
		c.Ratio = 0
	}
	return c, err
}
