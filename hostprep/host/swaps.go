package host

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"vmhuge/internal/pages"
)

// Swap is the host's swap space in bytes.
type Swap struct{ Total, Used int64 }

// Swap reads /proc/swaps. A kernel without swapping has none.
func (h Host) Swap() (Swap, error) {
	text, err := h.Root.Read("proc", "swaps")
	if errors.Is(err, fs.ErrNotExist) {
		return Swap{}, nil
	}
	if err != nil {
		return Swap{}, err
	}
	return parseSwaps(strings.NewReader(text))
}

// parseSwaps adds up the lines below the headline, in KiB. White space in the
// name of a file is written \040:
//
//	Filename				Type		Size		Used		Priority
//	/dev/sda2                               partition	8388604		131072		-2
func parseSwaps(r io.Reader) (Swap, error) {
	var swap Swap
	scan := bufio.NewScanner(r)
	scan.Scan() // the headline
	for scan.Scan() {
		f := strings.Fields(scan.Text())
		if len(f) != 5 {
			return Swap{}, fmt.Errorf("swaps: %q is not a swap space", scan.Text())
		}
		total, err := strconv.ParseUint(f[2], 10, 44)
		used, usedErr := strconv.ParseUint(f[3], 10, 44)
		if err = errors.Join(err, usedErr); err != nil {
			return Swap{}, fmt.Errorf("swaps: %q: %w", scan.Text(), err)
		}
		swap.Total += int64(total) * pages.KiB
		swap.Used += int64(used) * pages.KiB
	}
	return swap, scan.Err()
}
