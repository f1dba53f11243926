package ledger

import (
	"fmt"
	"os"

	"vmhuge/hostprep/hosttest"
)

const (
	oneNode    = hosttest.OneNode
	twoNodes   = hosttest.TwoNodes
	surplusOn0 = hosttest.SurplusOn0

	web1 = "6695eb01-f6a4-8304-79aa-97f2502e193f"
	db1  = "0cb4f2f2-5d2c-4f5e-8a31-6a0b6c5f8a11"
)

var (
	fixture = hosttest.FromText
	write   = hosttest.WriteFile
	must    = hosttest.Must
	nr      = hosttest.NrHugepages
)

// stat is a process as /proc shows it.
func stat(pid int, start uint64) string {
	return fmt.Sprintf("-- proc/%d/stat --\n%d (x) S 1 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 %d 1 1\n", pid, pid, start)
}

// us is the process of the test.
func us() string { return stat(os.Getpid(), 77) }

// qemu is a running guest.
func qemu(pid int, uuid string) string {
	return stat(pid, 88) + fmt.Sprintf("-- proc/%d/cmdline --\n/usr/bin/qemu-system-x86_64\n-name\nguest=a\n-uuid\n%s\n", pid, uuid)
}
