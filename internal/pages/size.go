// Package pages holds the units and the arithmetic that the rooms share:
// the size of a huge page, and what a guest demands. It does no I/O.
package pages

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Size is the size of a page in bytes. Zero stands for the host's default
// huge page size where that is not known.
type Size int64

// The sizes of x86-64.
const (
	KiB      int64 = 1024
	MiB            = 1024 * KiB
	GiB            = 1024 * MiB
	Size2MiB       = Size(2 * MiB)
	Size1GiB       = Size(GiB)
)

// SizeOfKiB returns the size of a page of so many KiB, the unit of the
// kernel's hugepages-<size>kB directories and of libvirt's <page size=…>.
func SizeOfKiB(kib int64) Size { return Size(kib * KiB) }

// KiB returns the size in KiB.
func (s Size) KiB() int64 { return int64(s) / KiB }

// Ceil returns how many pages hold so many bytes.
func (s Size) Ceil(bytes int64) int64 { return (bytes + int64(s) - 1) / int64(s) }

// Structs is how many bytes of ordinary memory a page gives back where the kernel frees the
// page structs that describe it (hugetlb_free_vmemmap): 64 bytes of each small page, of
// which one small page stays.
//
// Source: mm/hugetlb_vmemmap.h of the kernel.
func (s Size) Structs(small Size) int64 { return max(0, int64(s/small*64-small)) }

func (s Size) String() string {
	if s == 0 {
		return "the default size"
	}
	return FormatBytes(int64(s))
}

// ParseSize reads a page size as a user writes it: 2M, 2MiB, 1G, 2048k,
// 2097152. It must be a power of two of at least 4 KiB.
func ParseSize(text string) (Size, error) {
	n, err := ParseBytes(text)
	if err != nil {
		return 0, err
	}
	if _, err := strconv.Atoi(strings.TrimSpace(text)); err == nil && n > 0 && n < 4*KiB && bits.OnesCount64(uint64(n)) == 1 {
		return 0, fmt.Errorf("%q is a number of bytes: write %sM or %sK for a page size, such as 2M or 1G", text, strings.TrimSpace(text), strings.TrimSpace(text))
	}
	if n < 4*KiB || bits.OnesCount64(uint64(n)) != 1 {
		return 0, fmt.Errorf("%q is not a page size: page sizes are powers of two such as 2M or 1G", text)
	}
	return Size(n), nil
}

// ParseBytes reads an amount of memory as a user writes it: a whole number
// with an optional K, M, G or T, which may be followed by iB or B. All are
// powers of 1024.
func ParseBytes(text string) (int64, error) {
	digits := strings.TrimRight(strings.TrimSpace(text), "KMGTkmgtiBb")
	unit := strings.ToUpper(strings.TrimSpace(text)[len(digits):])
	shift, known := uint(0), true
	switch unit {
	case "", "B":
	case "K", "KB", "KIB":
		shift = 10
	case "M", "MB", "MIB":
		shift = 20
	case "G", "GB", "GIB":
		shift = 30
	case "T", "TB", "TIB":
		shift = 40
	default:
		known = false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if err != nil || !known || n < 0 || n > (1<<62)>>shift {
		return 0, fmt.Errorf("%q is not a size: write it as 512M, 2G or 1048576", text)
	}
	return n << shift, nil
}

// FormatKiB is FormatBytes of so many KiB.
func FormatKiB(n int64) string { return FormatBytes(n * KiB) }

// FormatBytes writes an amount of memory in the largest unit that divides it.
func FormatBytes(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for i < len(units)-1 && n != 0 && n%1024 == 0 {
		n /= 1024
		i++
	}
	return strconv.FormatInt(n, 10) + " " + units[i]
}

// MarshalJSON writes the size in KiB, the unit of every page size in vmhuge's
// JSON.
func (s Size) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, s.KiB(), 10), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Size) UnmarshalJSON(text []byte) error {
	kib, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || kib < 0 || kib > math.MaxInt64/KiB {
		return fmt.Errorf("%s is not a page size in KiB", text)
	}
	*s = SizeOfKiB(kib)
	return nil
}
