// Package process says which processes run, and which of them are guests: QEMU, and whose. It
// asks /proc and needs no libvirt.
package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"vmhuge/internal/hostfs"
)

// Process names a process for good: the kernel reuses pids, but not with the
// same start time.
type Process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot, field 22 of /proc/PID/stat
}

// Find returns the process that has a pid now.
func Find(root hostfs.Root, pid int) (Process, error) {
	text, err := root.Read("proc", strconv.Itoa(pid), "stat")
	if err != nil {
		return Process{}, err
	}
	start, err := parseStatStart(text)
	return Process{PID: pid, Start: start}, err
}

// Program returns the name of the program that a process runs. It goes by the program's file,
// as a process chooses the name that it shows, and whoever runs a program as root, such as su,
// its arguments. Only root may see the files of others; else the name has to do. The error is
// fs.ErrNotExist for a thread of the kernel's, and one that has ended.
func Program(root hostfs.Root, pid int) (string, error) {
	exe, err := os.Readlink(root.Path("proc", strconv.Itoa(pid), "exe"))
	if errors.Is(err, fs.ErrPermission) {
		exe, err = root.Read("proc", strconv.Itoa(pid), "comm")
	}
	if err != nil {
		return "", err
	}
	return programName(exe), nil
}

// programName is the name of a program's file:
//
//	/usr/bin/qemu-system-x86_64
//	/usr/bin/qemu-system-x86_64 (deleted)    after an upgrade
//	/nix/store/…/bin/.libvirtd-wrapped
func programName(exe string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(filepath.Base(strings.TrimSpace(exe)), "."), " ")
	return strings.TrimSuffix(name, "-wrapped")
}

// Parent returns the process that started this one, 0 if that is not known.
func Parent(root hostfs.Root, pid int) int {
	_, ppid := stateAndParent(root, pid)
	return ppid
}

// Stopped says that a process was stopped, by a signal or a debugger.
func Stopped(root hostfs.Root, pid int) bool {
	state, _ := stateAndParent(root, pid)
	return state == "T" || state == "t"
}

func stateAndParent(root hostfs.Root, pid int) (state string, ppid int) {
	text, _ := root.Read("proc", strconv.Itoa(pid), "stat")
	if fields := hostfs.StatFields(text); len(fields) > 1 {
		ppid, _ = strconv.Atoi(fields[1])
		return fields[0], ppid
	}
	return "", 0
}

// Alive says whether the process still runs.
func (p Process) Alive(root hostfs.Root) bool {
	now, err := Find(root, p.PID)
	return err == nil && p.PID > 0 && now == p
}

// parseStatStart reads the start time from /proc/PID/stat.
func parseStatStart(text string) (uint64, error) {
	fields := hostfs.StatFields(text)
	if len(fields) < 20 {
		return 0, fmt.Errorf("%.40q is no /proc/PID/stat", text)
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("/proc/PID/stat: %q is not a start time", fields[19])
	}
	return start, nil
}
