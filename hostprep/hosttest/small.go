package hosttest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"vmhuge/internal/hostfs"
)

// OneNode is a host of one node with 100 pages of 2 MiB, 60 of them free.
const OneNode = `
-- pools --
all 2048 100 60 0 0 0
all 1048576 0 0 0 0 0
0 2048 100 60 0
0 1048576 0 0 0
-- proc/sys/kernel/random/boot_id --
11111111-2222-3333-4444-555555555555
`

// TwoNodes has free memory above all on node 1.
const TwoNodes = `
-- pools --
all 2048 40 30 5 4 8
0 2048 10 6 4
1 2048 30 24 0
1 1048576 1 1 0
all 1048576 1 1 0 0 0
-- sys/devices/system/node/node0/meminfo --
Node 0 MemTotal:       24684100 kB
Node 0 MemFree:         1000512 kB
-- sys/devices/system/node/node1/meminfo --
Node 1 MemTotal:       24684100 kB
Node 1 MemFree:        23000512 kB
-- sys/devices/system/node/online --
0-1
-- sys/devices/system/node/has_cpu --
0-1
-- proc/sys/kernel/random/boot_id --
11111111-2222-3333-4444-555555555555
`

// SurplusOn0 has a guest on node 0 with 64 pages that are surplus.
const SurplusOn0 = `
-- pools --
all 2048 74 10 0 64 0
0 2048 64 0 64
1 2048 10 10 0
-- proc/sys/kernel/random/boot_id --
11111111-2222-3333-4444-555555555555
`

// NrHugepages is what the file of a node's pool holds; plain files keep what is written.
func NrHugepages(t *testing.T, root hostfs.Root, node, kib int) int64 {
	t.Helper()
	n, err := root.ReadInt("sys/devices/system/node/node"+strconv.Itoa(node), "hugepages/hugepages-"+strconv.Itoa(kib)+"kB", "nr_hugepages")
	Must(t, err)
	return n
}

// FromText unpacks a small host, with the owner and the modes of whoever runs the test. Its
// file "pools" has a line for each pool: the node or all, the page size in KiB, and the
// counters nr, free, surplus; for all: nr, free, resv, surplus, nr_overcommit. The arguments
// in a cmdline, which end with a zero byte, stand on a line each.
func FromText(t *testing.T, texts ...string) hostfs.Root {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(strings.Join(texts, ""))).Files {
		text := string(f.Data)
		if f.Name == "pools" {
			addPools(t, dir, text)
			continue
		}
		if strings.HasSuffix(f.Name, "/cmdline") {
			program, _, _ := strings.Cut(text, "\n")
			text = strings.ReplaceAll(text, "\n", "\x00")
			proc := filepath.Join(dir, filepath.Dir(f.Name))
			Must(t, os.MkdirAll(proc, 0o755))
			if program != "" {
				Must(t, os.Symlink(program, filepath.Join(proc, "exe")))
			}
		}
		WriteFile(t, filepath.Join(dir, f.Name), text)
	}
	return hostfs.Root(dir)
}
