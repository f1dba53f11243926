package pool

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/internal/hostfs"
)

// compactCommand is what our programs call themselves with, and a node, to compact that node's
// memory and nothing else.
const compactCommand = "compact-memory"

// alone says that a process of its own compacts.
var alone bool

// CompactAlone is the first that a program calls. It has a process of its own compact memory,
// and says whether this is that process, which has nothing more to do.
//
// To compact, the kernel waits for pages that a file system is reading, for ever if the file
// system's server does not answer, as that of any user's FUSE may not. A thread that waits so
// can't be killed, nor can its process end. The process of its own has neither the ledger's lock
// nor the pipe on which libvirt waits for the hook.
func CompactAlone(args []string) (done bool) {
	if len(args) != 3 || args[1] != compactCommand {
		alone = true
		return false
	}
	if node, err := strconv.Atoi(args[2]); err == nil {
		_ = compactHere("/", node)
	}
	return true
}

// idle is how long a compaction may use no processor before nobody waits for it any more.
const idle = 2 * time.Second

// compact asks the kernel to make contiguous memory.
func compact(ctx context.Context, root hostfs.Root, node int) {
	if !alone || root != "/" {
		_ = compactHere(root, node)
		return
	}
	// Not of the context: what can't be killed can't be waited for.
	cmd := exec.Command("/proc/self/exe", compactCommand, strconv.Itoa(node))
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Setsid: true}
	if cmd.Start() != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	look := time.NewTicker(idle / 8)
	defer look.Stop()
	spent, since := "", time.Now()
	for {
		select {
		case <-done:
			return
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			return
		case now := <-look.C:
			if is := processorTime(root, cmd.Process.Pid); is != spent {
				spent, since = is, now
			} else if now.Sub(since) >= idle {
				return
			}
		}
	}
}

// processorTime is what a process has used, in words of /proc/PID/stat.
func processorTime(root hostfs.Root, pid int) string {
	text, _ := root.Read("proc", strconv.Itoa(pid), "stat")
	fields := hostfs.StatFields(text)
	if len(fields) < 13 {
		return ""
	}
	return fields[11] + " " + fields[12] // utime, stime
}

// compactHere compacts a node's memory in this process, unless another is at it. A kernel
// without CONFIG_COMPACTION has neither file; the next write of the pool then gains nothing.
func compactHere(root hostfs.Root, node int) error {
	err := compactBy(root, "sys", "devices", "system", "node", "node"+strconv.Itoa(node), "compact")
	if errors.Is(err, os.ErrNotExist) {
		err = compactBy(root, "proc", "sys", "vm", "compact_memory")
	}
	return err
}

func compactBy(root hostfs.Root, file ...string) error {
	f, err := hostfs.Open(root.Path(file...), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil { // one that waits is enough
		return err
	}
	_, err = f.WriteString("1")
	return err
}
