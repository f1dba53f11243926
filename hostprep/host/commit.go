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
}

// Commit reads /proc/sys/vm/overcommit_memory and /proc/meminfo.
func (h Host) Commit() (Commit, error) {
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
	return Commit{Mode: mode, Swap: kib["SwapTotal"] * pages.KiB, Limit: limit * pages.KiB, Committed: kib["Committed_AS"] * pages.KiB}, nil
}
