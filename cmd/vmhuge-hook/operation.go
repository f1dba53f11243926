package main

import (
	"path/filepath"
	"slices"
	"strings"
)

// operation finds what serves the arguments of a call, nil for nothing:
//
//	/etc/libvirt/hooks/qemu.d/90-vmhuge web1 prepare begin -
func operation(args []string) func(*call) error {
	if len(args) < 5 || otherDriver(args[0]) {
		return nil
	}
	switch args[2] + " " + args[3] {
	case "prepare begin":
		return (*call).prepare
	case "release end":
		return (*call).release
	case "restore begin":
		return (*call).restore
	}
	return nil
}

// otherDriver says that a hook's path, such as hooks/lxc or hooks/lxc.d/90-vmhuge,
// is one that libvirt calls for guests that are not QEMU's.
func otherDriver(path string) bool {
	driver := filepath.Base(path)
	if dir, ok := strings.CutSuffix(filepath.Base(filepath.Dir(path)), ".d"); ok {
		driver = dir
	}
	return slices.Contains([]string{"bhyve", "daemon", "libxl", "lxc", "network"}, driver)
}
