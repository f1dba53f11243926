package pool

import (
	"strconv"
	"strings"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// nodeMemFree returns the free memory of a node in bytes, 0 where the kernel
// does not tell. It only orders the nodes: how much a node gives is seen by
// asking it.
func nodeMemFree(root hostfs.Root, node int) int64 {
	text, err := root.Read("sys", "devices", "system", "node", "node"+strconv.Itoa(node), "meminfo")
	if err != nil {
		return 0
	}
	return parseNodeMemFree(text)
}

// parseNodeMemFree reads a node's meminfo:
//
//	Node 0 MemTotal:       24684100 kB
//	Node 0 MemFree:        23000512 kB
func parseNodeMemFree(text string) int64 {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) >= 4 && f[2] == "MemFree:" {
			kib, err := strconv.ParseInt(f[3], 10, 52)
			if err == nil && kib > 0 {
				return kib * pages.KiB
			}
		}
	}
	return 0
}
