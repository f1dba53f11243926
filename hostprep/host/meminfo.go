package host

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"vmhuge/internal/pages"
)

// Meminfo is the host's memory in bytes.
type Meminfo struct {
	Total        int64      // with what the page pools hold
	Available    int64      // what programs may still get
	HugePageSize pages.Size // Hugepagesize, the kernel's default; 0: it has none
	CMA          *CMA       // nil: a kernel without CONFIG_CMA
}

// CMA are the areas from which the kernel can allocate large contiguous blocks. What of
// them is not free holds such blocks, or memory that the kernel can move elsewhere.
type CMA struct {
	TotalKiB int64 `json:"total_kib"`
	FreeKiB  int64 `json:"free_kib"`
}

// Meminfo reads /proc/meminfo.
func (h Host) Meminfo() (Meminfo, error) { return Once(h, cacheKey("meminfo"), h.meminfo) }

func (h Host) meminfo() (Meminfo, error) {
	text, err := h.Root.Read("proc", "meminfo")
	if err != nil {
		return Meminfo{}, err
	}
	kib, err := ParseMeminfo(strings.NewReader(text))
	if err != nil {
		return Meminfo{}, err
	}
	if kib["MemTotal"] == 0 {
		return Meminfo{}, fmt.Errorf("%s has no MemTotal", h.Root.Path("proc", "meminfo"))
	}
	m := Meminfo{
		Total:        kib["MemTotal"] * pages.KiB,
		Available:    kib["MemAvailable"] * pages.KiB,
		HugePageSize: pages.SizeOfKiB(kib["Hugepagesize"]),
	}
	if total, ok := kib["CmaTotal"]; ok {
		m.CMA = &CMA{total, kib["CmaFree"]}
	}
	return m, nil
}

// ParseMeminfo reads the amounts, in KiB, of /proc/meminfo and of a node's
// meminfo, whose lines begin with the node:
//
//	MemAvailable:   23000512 kB
//	Node 0 Active(file):      70120 kB
//
// Source: Documentation/filesystems/proc.rst of the kernel.
func ParseMeminfo(r io.Reader) (map[string]int64, error) {
	kib := map[string]int64{}
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		f := strings.Fields(scan.Text())
		if len(f) > 2 && f[0] == "Node" {
			f = f[2:]
		}
		if len(f) != 3 || f[2] != "kB" {
			continue // the HugePages_ lines are counts
		}
		n, err := strconv.ParseInt(f[1], 10, 52)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("meminfo: %q is not an amount of memory", scan.Text())
		}
		kib[strings.TrimSuffix(f[0], ":")] = n
	}
	return kib, scan.Err()
}
