package pool

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// Pages that are larger than what the kernel's allocator has in one piece it makes by moving all
// that is in the way, and then it waits for pages that it can't move yet (alloc_contig_range). For
// smaller ones it compacts, which while it allocates does not wait (PF_MEMALLOC). All
// writes of the pools of one size, on all nodes and of demote, take one lock of the kernel's
// (resize_lock), and wait for it so that they can't be killed: also one that frees pages waits
// for another that adds some.

// gigantic says whether pages may be of the first kind. Where the plain page is larger than 4 KiB
// the kernel has larger pieces: then one process too many writes.
func gigantic(size pages.Size) bool { return int64(size) > 4*pages.MiB }

// patience is how long a write may use no processor before nobody waits for it any more.
const patience = 3 * time.Second

// startup is how long the process that writes may take to be ready.
const startup = 20 * time.Second

// Stuck is the error of a pool that can't be written because the kernel still waits in another
// write of pages of the same size.
type Stuck struct {
	Size pages.Size
	File string
	PID  int
	For  time.Duration
}

func (s *Stuck) Error() string {
	return fmt.Sprintf("for %d s the kernel has been waiting in a write of %s, by process %d, and until that ends it neither adds nor frees pages of %s",
		int64(s.For/time.Second), s.File, s.PID, s.Size)
}

// Do is what to do about it.
func (s *Stuck) Do() string {
	return "end what it waits for, mostly a file system whose server does not answer (FUSE: the number in /sys/fs/fuse/connections/*/waiting stays above 0, " +
		"and a 1 in the file abort beside it ends it; NFS: umount -f), or use pages of another size"
}

// AsShort is the error of pages that could not be added because of a stuck write as that of
// a pool that can't grow.
func AsShort(err error, need Need) error {
	stuck, short := (*Stuck)(nil), (*Short)(nil)
	if errors.As(err, &stuck) && !errors.As(err, &short) {
		return &Short{Need: need, Stuck: stuck}
	}
	return err
}

// writing is the record of a write of a gigantic pool, which is there before the write begins.
type writing struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // clock ticks after boot, field 22 of /proc/PID/stat
	File  string `json:"file"`
	// Left says that nobody waits for it any more.
	Left bool `json:"left,omitempty"`
}

func writingFile(size pages.Size) []string {
	return append(slices.Clip(hostfs.RunDir), fmt.Sprintf("writing-%dkB.json", size.KiB()))
}

// readWriting reads the record of a write that goes on; false: there is none.
func readWriting(root hostfs.Root, size pages.Size) (w writing, goesOn bool) {
	if !gigantic(size) {
		return w, false
	}
	text, err := root.Read(writingFile(size)...)
	return w, err == nil && json.Unmarshal([]byte(text), &w) == nil && w.Start == startOf(root, w.PID)
}

func (w writing) stuck(root hostfs.Root, size pages.Size) *Stuck {
	up, _ := root.Read("proc", "uptime") // 31415.92 27182.81
	var now, began float64
	_, _ = fmt.Sscan(up, &now)
	_, _ = fmt.Sscan(w.Start, &began)
	return &Stuck{Size: size, File: w.File, PID: w.PID, For: time.Duration(max(0, now-began/100)) * time.Second}
}

// StillWriting is the write of pools of a size in which the kernel waits, started by a vmhuge
// that has gone on without it; nil: none. It does not need the ledger's lock.
func StillWriting(root hostfs.Root, size pages.Size) *Stuck {
	if w, goesOn := readWriting(root, size); goesOn && w.Left {
		return w.stuck(root, size)
	}
	return nil
}

// StuckWrites is StillWriting for each of these sizes whose pool has such a write.
func StuckWrites(root hostfs.Root, sizes []pages.Size) map[pages.Size]*Stuck {
	all := map[pages.Size]*Stuck{}
	for _, size := range sizes {
		if stuck := StillWriting(root, size); stuck != nil {
			all[size] = stuck
		}
	}
	return all
}

// AwaitWrite is StillWriting for who has the ledger's lock: one whose vmhuge was killed meanwhile
// is waited for first, as long as it works. Nothing is left of one that has ended.
func AwaitWrite(root hostfs.Root, size pages.Size) *Stuck {
	w, goesOn := readWriting(root, size)
	for p := (progress{}); goesOn && !w.Left; w, goesOn = readWriting(root, size) {
		if p.idle(root, w.PID, time.Now()) >= patience {
			w.Left = true
			_ = w.record(root, size) // else the next one waits as long
			break
		}
		time.Sleep(patience / 8)
	}
	if goesOn {
		return w.stuck(root, size)
	}
	landed(root, size)
	return nil
}

// landed removes the record of a write that has ended.
func landed(root hostfs.Root, size pages.Size) {
	if gigantic(size) {
		_ = os.Remove(root.Path(writingFile(size)...))
	}
}

// startOf is when a process was started; "-" for one that has ended.
func startOf(root hostfs.Root, pid int) string {
	text, _ := root.Read("proc", strconv.Itoa(pid), "stat")
	fields := hostfs.StatFields(text)
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return "-"
	}
	return fields[19]
}

// writeNumber writes a number to a file of a pool's.
func writeNumber(root hostfs.Root, node int, size pages.Size, name string, n int64) error {
	file := poolFile(root, node, size, name)
	if root != alone || !gigantic(size) {
		return root.WriteOver(n, file...)
	}
	if stuck := StillWriting(root, size); stuck != nil {
		return stuck
	}
	path := root.Path(file...)
	cmd := errand(writeCommand, path)
	theirs, ours, err := socketPair()
	if err != nil {
		return err
	}
	defer ours.Close()
	cmd.Stdin = theirs
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return err
	}
	// Once it is ready it only writes. Should this process be killed before it has written
	// the record and the word to go ahead, nothing is written.
	_ = ours.SetDeadline(time.Now().Add(startup))
	_, err = ours.Read(make([]byte, 1))
	w := writing{PID: cmd.Process.Pid, Start: startOf("/", cmd.Process.Pid), File: path}
	if err == nil {
		err = w.record(root, size)
	}
	if err == nil {
		_, err = fmt.Fprintln(ours, n)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		go func() { _ = cmd.Wait() }()
		return fmt.Errorf("a process to write %s: %w", path, err)
	}
	ended, err := await(cmd, patience, nil)
	if !ended {
		w.Left = true
		_ = w.record(root, size) // else the next one finds that out
		return w.stuck(root, size)
	}
	landed(root, size)
	return exitError(path, err)
}

// socketPair is the connection to a process that writes, as both have it.
func socketPair() (theirs, ours *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	_ = unix.SetNonblock(fds[1], true) // what waits for it has a deadline
	return os.NewFile(uintptr(fds[0]), "go-ahead"), os.NewFile(uintptr(fds[1]), "go-ahead"), nil
}

func (w writing) record(root hostfs.Root, size pages.Size) error {
	text, err := json.Marshal(w)
	if err == nil {
		err = os.MkdirAll(root.Path(hostfs.RunDir...), 0o755)
	}
	if err != nil {
		return err
	}
	return root.Replace(text, 0o644, writingFile(size)...)
}

// writeCommand is the errand that writes a number, which it reads, to a file of a pool's.
const writeCommand = "write-pool"

// errNotAPool is the error of a file that is no pool's.
var errNotAPool = errors.New("it is not a file of a page pool's")

func writeErrand(file string) error {
	if path.Clean(file) != file || !strings.HasPrefix(file, "/sys/") || !slices.Contains([]string{nrFile, demoteFile}, path.Base(file)) {
		return errNotAPool
	}
	n, err := goneAhead()
	if err != nil {
		return err
	}
	return hostfs.Root("/").WriteOver(n, file)
}

// goneAhead says that this process is ready, and waits for the number and the end of the line.
func goneAhead() (int64, error) {
	if _, err := os.Stdin.Write([]byte("\n")); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(line), 10, 64)
}
