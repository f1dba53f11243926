package bench

import (
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// StayOn keeps the calling goroutine, and the memory that it gets from now on,
// on one node: the distance of another one would count more than its pages. It
// can't be taken back.
func StayOn(root hostfs.Root, node int) error {
	text, err := root.Read("sys", "devices", "system", "node", "node"+strconv.Itoa(node), "cpulist")
	if err != nil {
		return err
	}
	list, err := pages.ParseNodes(text) // CPUs are listed as nodes are
	if err != nil {
		return err
	}
	var cpus, nodes unix.CPUSet
	for _, cpu := range list {
		cpus.Set(cpu)
	}
	nodes.Set(node)
	runtime.LockOSThread()
	if err := unix.SchedSetaffinity(0, &cpus); err != nil {
		return err
	}
	return unix.SetMemPolicy(unix.MPOL_BIND, &nodes)
}
