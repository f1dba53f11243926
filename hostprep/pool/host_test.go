package pool

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"vmhuge/internal/hostfs"
)

// oneNode is a host of one node with 100 pages of 2 MiB, 60 of them free.
const oneNode = `
-- pools --
all 2048 100 60 0 0 0
all 1048576 0 0 0 0 0
0 2048 100 60 0
0 1048576 0 0 0
-- proc/sys/kernel/random/boot_id --
11111111-2222-3333-4444-555555555555
`

// twoNodes has free memory above all on node 1.
const twoNodes = `
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

// fixture unpacks a host. Its file "pools" has a line for each pool: the node
// or all, the page size in KiB, and the counters nr, free, surplus; for all:
// nr, free, resv, surplus, nr_overcommit. The arguments in a cmdline end with a
// zero byte, and stand on a line each here.
func fixture(t *testing.T, texts ...string) hostfs.Root {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(strings.Join(texts, ""))).Files {
		text := string(f.Data)
		if f.Name == "pools" {
			for line := range strings.Lines(text) {
				unpackPool(t, dir, strings.Fields(line))
			}
			continue
		}
		if strings.HasSuffix(f.Name, "/cmdline") {
			text = strings.ReplaceAll(text, "\n", "\x00")
			runs(t, filepath.Join(dir, filepath.Dir(f.Name)), text)
		}
		write(t, filepath.Join(dir, f.Name), text)
	}
	return hostfs.Root(dir)
}

// runs has a process run the program that its command line names first.
func runs(t *testing.T, proc, cmdline string) {
	t.Helper()
	program, _, _ := strings.Cut(cmdline, "\x00")
	must(t, os.MkdirAll(proc, 0o755))
	if program != "" {
		must(t, os.Symlink(program, filepath.Join(proc, "exe")))
	}
}

func unpackPool(t *testing.T, dir string, f []string) {
	t.Helper()
	at, names := "sys/kernel/mm/hugepages", []string{"nr", "free", "resv", "surplus", "nr_overcommit"}
	if f[0] != "all" {
		at, names = "sys/devices/system/node/node"+f[0]+"/hugepages", []string{"nr", "free", "surplus"}
	}
	if len(f) != len(names)+2 {
		t.Fatalf("pools: %q has not %d counters", f, len(names))
	}
	for i, name := range names {
		write(t, filepath.Join(dir, at, "hugepages-"+f[1]+"kB", name+"_hugepages"), f[2+i]+"\n")
	}
}

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

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// nr is what the file of a node's pool holds; plain files keep what is written.
func nr(t *testing.T, root hostfs.Root, node int, kib int) int64 {
	t.Helper()
	n, err := root.ReadInt("sys/devices/system/node/node"+strconv.Itoa(node), fmt.Sprintf("hugepages/hugepages-%dkB", kib), "nr_hugepages")
	must(t, err)
	return n
}

const (
	web1 = "6695eb01-f6a4-8304-79aa-97f2502e193f"
	db1  = "0cb4f2f2-5d2c-4f5e-8a31-6a0b6c5f8a11"
)
