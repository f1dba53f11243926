package hosttest

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A process that holds the lock of its own memory map: it maps a FUSE file whose server
// does not answer. The kernel first wants the file's pages out of its cache, and these
// wait for the server.
//
// A test's main program calls HoldMap first: the process is a copy of it, named as QEMU.

const holdVariable = "VMHUGE_TEST_HOLDS_ITS_MAP"

// HoldMap is the main program of the process that HeldProcess starts; elsewhere it
// does nothing.
func HoldMap() {
	file := os.Getenv(holdVariable)
	if file == "" {
		return
	}
	if os.Getenv(readVariable) != "" {
		readEach(file)
	}
	if file == "-" { // one that hides nothing
		time.Sleep(time.Hour)
	}
	cached, err := unix.Open(file, unix.O_RDONLY, 0)
	if err != nil {
		os.Exit(3)
	}
	direct, err := unix.Open(file, unix.O_RDONLY, 0)
	if err != nil {
		os.Exit(4)
	}
	go func() { _, _ = unix.Pread(cached, make([]byte, 4096), 0) }()
	time.Sleep(100 * time.Millisecond)
	_, _ = unix.Mmap(direct, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE)
	time.Sleep(time.Hour) // it is let go: whoever waited for its memory map can read it now
}

// FakeQEMU starts a process of a user that is named as QEMU, with these arguments. It
// ends with the test.
func FakeQEMU(t *testing.T, uid uint32, args ...string) (pid int) {
	t.Helper()
	pid = fake(t, "-", uid, args)
	for range 100 { // exec is over a little before the kernel shows the arguments
		if text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline"); len(text) > 0 {
			return pid
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the process does not start")
	return 0
}

// HungMount mounts a file system whose server never answers: whoever looks into it waits.
func HungMount(t *testing.T) (dir string) {
	t.Helper()
	NeedRoot(t)
	dir = filepath.Join(openDir(t), "hung")
	Must(t, os.Mkdir(dir, 0o755))
	mountFUSE(t, dir, "40755")
	return dir
}

// Unread is a file of which pages are being read, in vain, until it is let go. more has another
// one read, which takes a page of the host's memory, by a process that runs the test's main program.
func Unread(t *testing.T) (more, letGo func()) {
	t.Helper()
	NeedRoot(t)
	path := filepath.Join(openDir(t), "file")
	WriteFile(t, path, "")
	server, unmount := mountFUSE(t, path, "100644")
	reads := make(chan struct{}, 1000)
	go serveSilent(server, 1<<30, 0, reads)
	reader := exec.Command("/proc/self/exe")
	reader.Env = append(os.Environ(), holdVariable+"="+path, readVariable+"=1")
	reader.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := reader.StdinPipe()
	Must(t, err)
	Must(t, reader.Start())
	go func() { _ = reader.Wait() }()
	more = func() {
		_, err := in.Write([]byte{0})
		Must(t, err)
		select {
		case <-reads: // it has the page
		case <-time.After(time.Minute):
			t.Fatal("the page is not read")
		}
	}
	return more, func() {
		unmount()
		_ = reader.Process.Kill()
	}
}

const readVariable = "VMHUGE_TEST_READS"

// readEach reads another page of a file for each byte on stdin.
func readEach(file string) {
	fd, err := unix.Open(file, unix.O_RDONLY, 0)
	if err == nil {
		err = unix.Fadvise(fd, 0, 0, unix.FADV_RANDOM) // none is read ahead
	}
	if err != nil {
		os.Exit(5)
	}
	for at := int64(0); ; at += 4096 {
		if n, _ := os.Stdin.Read(make([]byte, 1)); n == 0 {
			os.Exit(0)
		}
		go func() { _, _ = unix.Pread(fd, make([]byte, 4096), at) }()
	}
}

// mountFUSE mounts a file system on a file or folder until letGo is called or the test ends.
func mountFUSE(t *testing.T, onto, mode string) (server *os.File, letGo func()) {
	t.Helper()
	device := filepath.Join(filepath.Dir(onto), "fuse") // a test's /dev may lack it
	Must(t, unix.Mknod(device, unix.S_IFCHR|0o600, int(unix.Mkdev(10, 229))))
	fuse, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	Must(t, err)
	options := "fd=" + strconv.Itoa(fuse) + ",rootmode=" + mode + ",user_id=0,group_id=0,allow_other"
	Must(t, unix.Mount("silent", onto, "fuse", unix.MS_NODEV|unix.MS_NOSUID, options))
	server = os.NewFile(uintptr(fuse), "/dev/fuse") // can be waited for only once it is mounted
	letGo = func() {
		_ = unix.Unmount(onto, unix.MNT_DETACH)
		_ = server.Close()
	}
	t.Cleanup(letGo)
	return server, letGo
}

// HeldProcess is FakeQEMU with a process that holds the lock of its memory map until it
// is let go: before that not even SIGKILL ends it.
func HeldProcess(t *testing.T, uid uint32, args ...string) (pid int, letGo func()) {
	t.Helper()
	NeedRoot(t)
	file := filepath.Join(openDir(t), "file")
	WriteFile(t, file, "")
	server, letGo := mountFUSE(t, file, "100644") // before the process is waited for
	go serveSilent(server, 1<<16, 1, make(chan struct{}, 1000))
	pid = fake(t, file, uid, args)
	held := func() bool {
		done := make(chan struct{})
		go func() {
			_, _ = os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
			close(done)
		}()
		select {
		case <-done:
			return false
		case <-time.After(200 * time.Millisecond):
			return true
		}
	}
	for range 50 {
		if held() {
			return pid, letGo
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the process does not hold its memory map")
	return 0, nil
}

func fake(t *testing.T, file string, uid uint32, args []string) (pid int) {
	t.Helper()
	dir := openDir(t)
	self, err := os.ReadFile("/proc/self/exe")
	Must(t, err)
	program := filepath.Join(dir, "qemu-system-x86_64")
	Must(t, os.WriteFile(program, self, 0o755))
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), holdVariable+"="+file)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if uid != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
	}
	Must(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if file == "-" { // else it ends with its file, which is unmounted later
			<-ended
		}
	})
	return cmd.Process.Pid
}

// openDir is a folder that every user may enter, as t.TempDir is not.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vmhuge-test-")
	Must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	Must(t, os.Chmod(dir, 0o755))
	return dir
}

// serveSilent answers what must be answered for a file of some size to be opened, and no read.
// later is the flag with which all but the first are opened, and reads tells of each read.
//
// Source: include/uapi/linux/fuse.h of the kernel.
func serveSilent(server *os.File, size, later uint64, reads chan<- struct{}) {
	request := make([]byte, 1<<20)
	opened := uint64(0)
	for {
		n, err := server.Read(request)
		if err != nil || n < 40 {
			return
		}
		var reply any
		errno := int32(0)
		switch binary.NativeEndian.Uint32(request[4:]) {
		case 26: // FUSE_INIT
			reply = [16]uint32{0: 7, 1: 31, 2: 1 << 16, 3: 1, 4: 1000 | 1000<<16, 5: 1 << 16, 6: 1}
		case 3: // FUSE_GETATTR
			reply = struct {
				Valid                     uint64
				_                         [2]uint32
				Ino, Size, Blocks         uint64
				_                         [3]uint64
				_                         [3]uint32
				Mode, Nlink, UID, GID     uint32
				Rdev, BlockSize, Reserved uint32
			}{Valid: 1000, Ino: 1, Size: size, Blocks: size / 512, Mode: unix.S_IFREG | 0o644, Nlink: 1, BlockSize: 4096}
		case 14: // FUSE_OPEN: by way of the cache; later 1 is FOPEN_DIRECT_IO
			reply = [2]uint64{opened, opened}
			opened = later
		case 15: // FUSE_READ is not answered
			reads <- struct{}{}
			continue
		case 2, 36: // FUSE_FORGET and FUSE_INTERRUPT need not be
			continue
		default:
			errno = -int32(unix.ENOSYS)
		}
		var body, answer bytes.Buffer
		if reply != nil {
			_ = binary.Write(&body, binary.NativeEndian, reply)
		}
		_ = binary.Write(&answer, binary.NativeEndian, []uint32{uint32(16 + body.Len()), uint32(errno)})
		answer.Write(request[8:16])
		answer.Write(body.Bytes())
		_, _ = server.Write(answer.Bytes())
	}
}
