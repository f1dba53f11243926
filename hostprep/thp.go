package hostprep

import (
	"errors"
	"io/fs"
	"strings"
)

// THP is the host's setting of transparent huge pages.
type THP struct {
	Enabled string `json:"enabled"` // always, madvise, never; "": the kernel has none
	Defrag  string `json:"defrag"`
}

// THP reads the settings below /sys/kernel/mm/transparent_hugepage.
func (h Host) THP() (THP, error) {
	var thp THP
	for name, to := range map[string]*string{"enabled": &thp.Enabled, "defrag": &thp.Defrag} {
		text, err := h.Root.Read("sys", "kernel", "mm", "transparent_hugepage", name)
		if errors.Is(err, fs.ErrNotExist) {
			return THP{}, nil
		}
		if err != nil {
			return THP{}, err
		}
		*to = parseChoice(text)
	}
	return thp, nil
}

// parseChoice reads the chosen word of a kernel file that lists all:
//
//	always [madvise] never
func parseChoice(text string) string {
	_, rest, _ := strings.Cut(text, "[")
	word, _, _ := strings.Cut(rest, "]")
	return word
}
