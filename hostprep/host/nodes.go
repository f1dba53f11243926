package host

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"vmhuge/internal/pages"
)

// Node is one NUMA node with its memory in bytes.
type Node struct {
	ID    int
	Total int64
	Free  int64 // MemFree
	Cache int64 // the page cache, which the kernel drops where it needs memory
}

// Nodes reads the nodes that are online. A kernel without NUMA has none in
// its files; its memory counts as node 0, as libvirt has it.
func (h Host) Nodes() ([]Node, error) { return Once(h, cacheKey("nodes"), h.readNodes) }

func (h Host) readNodes() ([]Node, error) {
	dir := []string{"sys", "devices", "system", "node"}
	list, err := h.Root.Read(append(dir, "online")...)
	if errors.Is(err, fs.ErrNotExist) {
		n, err := h.node("proc", "meminfo")
		return []Node{n}, err
	}
	if err != nil {
		return nil, err
	}
	ids, err := pages.ParseNodes(list)
	if err != nil {
		return nil, err
	}
	var nodes []Node
	for _, id := range ids {
		n, err := h.node(append(dir, "node"+strconv.Itoa(id), "meminfo")...)
		if err != nil {
			return nil, err
		}
		n.ID = id
		nodes = append(nodes, n)
	}
	return nodes, nil
}

func (h Host) node(meminfo ...string) (Node, error) {
	text, err := h.Root.Read(meminfo...)
	if err != nil {
		return Node{}, err
	}
	kib, err := ParseMeminfo(strings.NewReader(text))
	return Node{
		Total: kib["MemTotal"] * pages.KiB,
		Free:  kib["MemFree"] * pages.KiB,
		Cache: (kib["Active(file)"] + kib["Inactive(file)"]) * pages.KiB,
	}, err
}

// NodeCPUs lists the processors of a node; of one that is not there, and of a kernel without
// NUMA, known is false.
func (h Host) NodeCPUs(id int) (cpus []int, known bool, err error) {
	text, err := h.Root.Read("sys", "devices", "system", "node", "node"+strconv.Itoa(id), "cpulist")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil || strings.TrimSpace(text) == "" { // memory without processors
		return nil, err == nil, err
	}
	cpus, err = pages.ParseNodes(text)
	return cpus, true, err
}

// WithoutCPUs says that none of these nodes has a processor.
func (h Host) WithoutCPUs(nodes []int) (bool, error) {
	for _, id := range nodes {
		if cpus, known, err := h.NodeCPUs(id); err != nil || !known || len(cpus) > 0 {
			return false, err
		}
	}
	return len(nodes) > 0, nil
}
