package pool

import (
	"fmt"
	"strconv"
	"testing"

	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/hostfs"
)

const (
	oneNode  = hosttest.OneNode
	twoNodes = hosttest.TwoNodes
)

func fixture(t *testing.T, texts ...string) hostfs.Root {
	t.Helper()
	return hosttest.FromText(t, texts...)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	hosttest.WriteFile(t, path, text)
}

func must(t *testing.T, err error) {
	t.Helper()
	hosttest.Must(t, err)
}

// nr is what the file of a node's pool holds; plain files keep what is written.
func nr(t *testing.T, root hostfs.Root, node int, kib int) int64 {
	t.Helper()
	n, err := root.ReadInt("sys/devices/system/node/node"+strconv.Itoa(node), fmt.Sprintf("hugepages/hugepages-%dkB", kib), "nr_hugepages")
	must(t, err)
	return n
}
