package pages

import (
	"strconv"
	"strings"

	"vmhuge/internal/lazyregexp"
)

var leadingSize = lazyregexp.New(`^(0[xX][0-9a-fA-F]+|[0-9]+)`)

// Memparse reads a size as the kernel's function of this name: 2M, 0x200000,
// 1g; what follows is ignored. 0: it is no size.
func Memparse(text string) Size {
	digits := leadingSize.Get().FindString(text)
	n, err := strconv.ParseInt(digits, 0, 64)
	shift := 0
	if rest := text[len(digits):]; rest != "" {
		shift = 10 * (strings.IndexByte("KMGTPE", rest[0]&^0x20) + 1)
	}
	if err != nil || n<<shift>>shift != n {
		return 0
	}
	return Size(n << shift)
}
