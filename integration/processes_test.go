package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// qemus returns the processes of the guests of the test, by name.
func qemus() map[string]int {
	found := map[string]int{}
	for _, pid := range processes(func(path, cmdline string) bool { return strings.Contains(cmdline, "\x00-uuid\x00") }) {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		_, rest, ok := strings.Cut(string(cmdline), "guest="+guestPrefix)
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
		cmdline, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		pid, perr := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && perr == nil && want(program, string(cmdline)) {
			pids = append(pids, pid)
		}
	}
	return pids
}
