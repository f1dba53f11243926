package integration

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"vmhuge/internal/hostfs"
)

// qemus returns the processes of the guests of the test, by name.
func qemus() map[string]int {
	found := map[string]int{}
	for _, pid := range processes(func(path, cmdline string) bool { return strings.Contains(cmdline, "\x00-uuid\x00") }) {
		cmdline, _ := hostfs.Root("/").ReadProcess(pid, "cmdline")
		_, rest, ok := strings.Cut(cmdline, "guest="+guestPrefix)
		if name, _, _ := strings.Cut(rest, ","); ok {
			found[guestPrefix+strings.TrimRight(name, "\x00")] = pid
		}
	}
	return found
}

// processes returns those whose program and command line are as wanted.
func processes(want func(path, cmdline string) bool) (pids []int) {
	paths, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, path := range paths {
		program, err := os.Readlink(path)
		pid, perr := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		cmdline, _ := hostfs.Root("/").ReadProcess(pid, "cmdline") // some keep readers waiting for ever
		if err == nil && perr == nil && want(program, cmdline) {
			pids = append(pids, pid)
		}
	}
	return pids
}
