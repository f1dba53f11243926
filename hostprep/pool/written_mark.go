package pool

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// On several nodes a number for one node and one for the whole host can change the same one
// pool: of the latter, other nodes may have nothing to give or to lose. What tells them apart
// is the time of the node's file. Whoever opens it with O_TRUNC, as a shell's > does, sets
// that time (kernfs); a number for the host goes through another file. So the time is set to
// a mark, and a pool that has changed with its mark in place was changed by a number for the
// host.
//
// Without a mark, as where it may not be set, a number is taken to be for one node.

// writtenMark is the time that a node's file has if nobody has opened it to write since.
func writtenMark() time.Time { return time.Unix(1, 0) }

// opening is the longest that a writer takes from opening the file to writing it.
const opening = time.Second

// writtenAt is when a node's file was last opened to write it.
func writtenAt(root hostfs.Root, node int, size pages.Size) time.Time {
	st, err := os.Stat(root.Path(poolFile(root, node, size, nrFile)...))
	if err != nil {
		return time.Time{}
	}
	return st.ModTime()
}

// Marked says whether nobody has opened a node's file to write it since it was marked.
func Marked(root hostfs.Root, node int, size pages.Size) bool {
	return writtenAt(root, node, size).Equal(writtenMark())
}

// Mark marks a node's file, unless somebody may be about to write it. It may fail: the next
// number then is taken to be for one node.
func Mark(root hostfs.Root, node int, size pages.Size) {
	if time.Since(writtenAt(root, node, size)).Abs() >= opening {
		_ = os.Chtimes(root.Path(poolFile(root, node, size, nrFile)...), time.Time{}, writtenMark())
	}
}

// writeNr writes a pool's file without opening it with O_TRUNC, which would take its mark
// away. A tree of ordinary files needs that, and gets the time back.
func writeNr(root hostfs.Root, node int, size pages.Size, n int64) error {
	file := poolFile(root, node, size, nrFile)
	path := root.Path(file...)
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); root == alone || err == nil && fs.Type == unix.SYSFS_MAGIC {
		return writeNumber(root, node, size, nrFile, n)
	}
	at := writtenAt(root, node, size)
	if err := root.WriteInt(n, file...); err != nil {
		return err
	}
	return os.Chtimes(path, time.Time{}, at)
}
