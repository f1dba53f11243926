package host

import (
	"errors"
	"io/fs"
)

// KSM is what the kernel's merging of equal pages does.
type KSM struct {
	Run     bool
	Sharing int64 // pages_sharing: how many small pages are saved
}

// KSM reads the counters below /sys/kernel/mm/ksm. A kernel without has none.
//
// Source: Documentation/admin-guide/mm/ksm.rst of the kernel.
func (h Host) KSM() (KSM, error) {
	dir := []string{"sys", "kernel", "mm", "ksm"}
	run, err := h.Root.ReadInt(append(dir, "run")...)
	if errors.Is(err, fs.ErrNotExist) {
		return KSM{}, nil
	}
	if err != nil {
		return KSM{}, err
	}
	sharing, err := h.Root.ReadInt(append(dir, "pages_sharing")...)
	return KSM{Run: run == 1, Sharing: sharing}, err
}
