package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// killedTask is what the process to be killed does: a change by itself, or the
// journal's changes, or its undo.
type killedTask struct {
	Root    host.Host
	Change  *change.Change
	Changes []change.Change
	Undo    bool
}

// do does the task between two marks.
func (k killedTask) do() error {
	_, _ = unix.Getsid(0)
	defer func() { _, _ = unix.Getsid(0) }()
	j := Journal{Host: k.Root}
	switch {
	case k.Undo:
		_, _, err := j.Undo()
		return err
	case k.Change != nil:
		return Apply(k.Root, *k.Change)
	}
	return j.Apply(k.Changes)
}

// TestKilledProcess is the process that killedAt starts, and tests nothing itself.
func TestKilledProcess(t *testing.T) {
	var task killedTask
	if text := os.Getenv("VMHUGE_TEST_KILLED"); text != "" {
		hosttest.Must(t, json.Unmarshal([]byte(text), &task))
		hosttest.Must(t, task.do())
	}
}

// writes are the system calls that change a file system.
var writes = map[uint64]bool{
	unix.SYS_MKDIRAT: true, unix.SYS_UNLINKAT: true, unix.SYS_RENAMEAT: true, unix.SYS_RENAMEAT2: true, unix.SYS_SYMLINKAT: true,
	unix.SYS_FCHOWN: true, unix.SYS_FCHOWNAT: true, unix.SYS_FCHMOD: true, unix.SYS_FCHMODAT: true, unix.SYS_WRITE: true,
	unix.SYS_FSETXATTR: true, unix.SYS_MOUNT: true, unix.SYS_UMOUNT2: true,
}

// killedAt runs a task in a process of its own, and kills that before the system
// call numbered step that writes; false: it has ended before.
func killedAt(t *testing.T, task killedTask, step int) bool {
	t.Helper()
	text, err := json.Marshal(task)
	hosttest.Must(t, err)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	hosttest.Must(t, err)
	defer log.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
	cmd.Env = append(os.Environ(), "VMHUGE_TEST_KILLED="+string(text), "GODEBUG=asyncpreemptoff=1")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Setpgid: true}
	runtime.LockOSThread() // the kernel knows the tracer by its thread
	defer runtime.UnlockOSThread()
	hosttest.Must(t, cmd.Start())
	pid := cmd.Process.Pid
	defer cmd.Process.Release()

	var status unix.WaitStatus
	_, err = unix.Wait4(pid, &status, unix.WALL, nil)
	hosttest.Must(t, err)
	hosttest.Must(t, unix.PtraceSetOptions(pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL))
	hosttest.Must(t, unix.PtraceSyscall(pid, 0))
	marks, done := 0, 0
	for {
		tid, err := unix.Wait4(-pid, &status, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		hosttest.Must(t, err)
		signal := 0
		switch {
		case status.Exited() || status.Signaled():
			if tid != pid {
				continue
			}
			if said, _ := os.ReadFile(log.Name()); status.Signaled() || status.ExitStatus() != 0 {
				t.Fatalf("it ended with %v by itself: %s", status, said)
			}
			return false
		case status.StopSignal() == unix.SIGTRAP|0x80:
			entered, call := systemCall(t, tid)
			if entered && call == unix.SYS_GETSID {
				marks++
			}
			if !entered || marks != 1 || !writes[call] {
				break
			}
			if done++; done < step {
				break
			}
			hosttest.Must(t, unix.Kill(pid, unix.SIGKILL))
			for !status.Signaled() || tid != pid {
				tid, err = unix.Wait4(-pid, &status, unix.WALL, nil)
				hosttest.Must(t, err)
			}
			return true
		case status.StopSignal() != unix.SIGTRAP && status.StopSignal() != unix.SIGSTOP:
			signal = int(status.StopSignal())
		}
		if err := unix.PtraceSyscall(tid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			t.Fatal(err)
		}
	}
}

// systemCall says which system call a stopped thread is in, and whether it just
// enters it.
func systemCall(t *testing.T, tid int) (entered bool, number uint64) {
	t.Helper()
	const getInfo, entry = 0x420e, 1 // PTRACE_GET_SYSCALL_INFO, PTRACE_SYSCALL_INFO_ENTRY
	var info [88]byte                // struct ptrace_syscall_info
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, getInfo, uintptr(tid), uintptr(len(info)), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno == unix.ESRCH { // another of its threads has just ended the process
		return false, 0
	}
	if errno != 0 {
		t.Fatal(errno)
	}
	return info[0] == entry, binary.NativeEndian.Uint64(info[24:])
}

// everything lists all below folders: kind, mode, owner, and what is in it.
func everything(t *testing.T, dirs ...string) string {
	t.Helper()
	var list strings.Builder
	for i, dir := range dirs {
		hosttest.Must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			var st unix.Stat_t
			if err = errors.Join(err, unix.Lstat(path, &st)); err != nil {
				return err
			}
			below, _ := filepath.Rel(dir, path)
			fmt.Fprintf(&list, "%d/%s %o %d:%d", i, below, st.Mode, st.Uid, st.Gid)
			if link, err := os.Readlink(path); err == nil {
				fmt.Fprintf(&list, " %s", link)
			} else if st.Mode&unix.S_IFMT == unix.S_IFREG {
				text, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				fmt.Fprintf(&list, " %q", text)
			}
			list.WriteByte('\n')
			return nil
		}))
	}
	return list.String()
}

// testKilledInside kills a change of a kind, and then its undo, before each of
// their system calls that write: undo leaves what was there before.
func testKilledInside(t *testing.T, start func(*testing.T) (string, change.Change)) {
	j := Journal{Host: host.Host{Root: "/"}}
	for _, undo := range []bool{false, true} {
		for step, killed := 1, true; killed; step++ {
			dir, c := start(t)
			before := everything(t, dir, "/etc", "/var/lib")
			j.record(t, c)
			task := killedTask{Root: j.Host, Change: &c}
			if undo {
				hosttest.Must(t, Apply(j.Host, c))
				task = killedTask{Root: j.Host, Undo: true}
			}
			killed = killedAt(t, task, step)
			if step == 1 && !killed && c.Kind != change.KindMember { // other programs write that
				t.Error("it has made no system call that writes")
			}
			_, left, err := j.Undo()
			if after := everything(t, dir, "/etc", "/var/lib"); err != nil || after != before {
				t.Errorf("undo %v, killed at step %d: left %v, %v\n%s\nnot\n%s", undo, step, left, err, after, before)
			}
		}
	}
}

// TestJournalKilled kills the journal itself, between the changes as well.
func TestJournalKilled(t *testing.T) {
	for _, undo := range []bool{false, true} {
		for step, killed := 1, true; killed; step++ {
			h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- var/lib/other --\n\n")}
			changes := []change.Change{
				{Kind: change.KindMkdir, Path: "/etc/x", To: "0755 1:2"},
				{Kind: change.KindFile, Path: "/etc/x/y", To: "0644 0:0\nnew\n"},
				{Kind: change.KindChmod, Path: "/dev/hugepages", From: "0755", To: "0711"},
			}
			before := everything(t, h.Root.Path())
			j, task := Journal{Host: h}, killedTask{Root: h, Changes: changes}
			if undo {
				hosttest.Must(t, j.Apply(changes))
				task = killedTask{Root: h, Undo: true}
			}
			killed = killedAt(t, task, step)
			_, left, err := j.Undo()
			if after := everything(t, h.Root.Path()); err != nil || after != before {
				t.Errorf("undo %v, killed at step %d: left %v, %v\n%s\nnot\n%s", undo, step, left, err, after, before)
			}
			if !killed && step < 10 {
				t.Errorf("undo %v: it has ended after %d steps", undo, step)
			}
		}
	}
}
