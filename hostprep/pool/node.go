package pool

import (
	"strconv"
	"strings"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// nodeMemory is the memory of a node in bytes.
type nodeMemory struct {
	free  int64
	cache int64 // the page cache, which the kernel drops where it needs memory
}

// readNodeMemory reads a node's meminfo; where the kernel does not tell there
// is none.
func readNodeMemory(root hostfs.Root, node int) nodeMemory {
	text, err := root.Read("sys", "devices", "system", "node", "node"+strconv.Itoa(node), "meminfo")
	if err != nil {
		return nodeMemory{}
	}
	return parseNodeMemory(text)
}

// parseNodeMemory reads a node's meminfo:
//
//	Node 0 MemTotal:       24684100 kB
//	Node 0 MemFree:        23000512 kB
//	Node 0 Active(file):     120044 kB
func parseNodeMemory(text string) nodeMemory {
	var m nodeMemory
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		kib, err := strconv.ParseInt(f[3], 10, 52)
		if err != nil || kib < 0 {
			continue
		}
		switch f[2] {
		case "MemFree:":
			m.free = kib * pages.KiB
		case "Active(file):", "Inactive(file):":
			m.cache += kib * pages.KiB
		}
	}
	return m
}
