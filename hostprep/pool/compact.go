package pool

import (
	"context"
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/internal/hostfs"
)

// The errands that make contiguous memory, of a node and of the host.
const (
	compactCommand    = "compact-memory"
	dropCachesCommand = "drop-caches"
)

// idle is how long an errand that makes memory may use no processor before nobody waits for it
// any more.
const idle = 2 * time.Second

// compact asks the kernel to make contiguous memory.
func compact(ctx context.Context, root hostfs.Root, node int) {
	if root != alone {
		_ = compactHere(root, node)
		return
	}
	if cmd := errand(compactCommand, strconv.Itoa(node)); cmd.Start() == nil {
		_, _ = await(cmd, idle, ctx.Done())
	}
}

func compactErrand(node string) error {
	n, err := strconv.Atoi(node)
	if err != nil {
		return err
	}
	return compactHere("/", n)
}

// compactHere compacts a node's memory in this process, unless another is at it. A kernel
// without CONFIG_COMPACTION has neither file; the next write of the pool then gains nothing.
func compactHere(root hostfs.Root, node int) error {
	err := writeInTurn("1", root.Path("sys", "devices", "system", "node", "node"+strconv.Itoa(node), "compact"))
	if errors.Is(err, os.ErrNotExist) {
		err = writeInTurn("1", root.Path("proc", "sys", "vm", "compact_memory"))
	}
	return err
}

// dropCaches asks the kernel to drop the page cache. It looks into each file system for that,
// and waits for one that is being unmounted.
func dropCaches(ctx context.Context, root hostfs.Root) {
	if root != alone {
		_ = dropCachesHere(root)
		return
	}
	if cmd := errand(dropCachesCommand, "all"); cmd.Start() == nil {
		_, _ = await(cmd, idle, ctx.Done())
	}
}

func dropCachesErrand(string) error { return dropCachesHere("/") }

func dropCachesHere(root hostfs.Root) error {
	return writeInTurn("3", root.Path("proc", "sys", "vm", "drop_caches"))
}

// writeInTurn writes a file that root alone may open, unless another is at it: one that waits is
// enough.
func writeInTurn(text, path string) error {
	f, err := hostfs.Open(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return err
}
