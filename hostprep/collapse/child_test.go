package collapse

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/process"
	"vmhuge/internal/pages"
)

const (
	mib      = 1 << 20
	ramMiB   = 16
	childVar = "VMHUGE_COLLAPSE_CHILD" // how its memory is
	someUUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(childVar); kind != "" {
		if err := child(kind); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child has memory as QEMU has a guest's, on small pages, and looks after it while it is
// collapsed.
func child(kind string) error {
	// Whatever the host's settings are, none of this is huge at first.
	if err := unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0); err != nil {
		return err
	}
	area, err := unix.MmapPtr(-1, 0, nil, (ramMiB+4)*mib, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	at := unsafe.Add(area, (2*mib-uintptr(area)%(2*mib))%(2*mib))
	fd, flags := -1, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED
	if kind == "shared" || kind == "unaligned" {
		if fd, err = unix.MemfdCreate("ram", 0); err != nil {
			return err
		}
		if err := unix.Ftruncate(fd, ramMiB*mib); err != nil {
			return err
		}
		flags = unix.MAP_SHARED | unix.MAP_FIXED
	}
	if kind == "unaligned" {
		at = unsafe.Add(at, os.Getpagesize())
	}
	if at, err = unix.MmapPtr(fd, 0, at, ramMiB*mib, unix.PROT_READ|unix.PROT_WRITE, flags); err != nil {
		return err
	}
	memory := unsafe.Slice((*byte)(at), ramMiB*mib)
	if err := unix.Madvise(memory, unix.MADV_HUGEPAGE); err != nil {
		return err
	}
	touched := memory
	if half := len(memory) / 2; strings.HasPrefix(kind, "half") {
		touched = memory[:half]
		if kind == "half read" {
			if err := unix.Madvise(memory[half:], unix.MADV_POPULATE_READ); err != nil {
				return err
			}
		}
	}
	for i := 0; i < len(touched); i += 512 {
		touched[i] = byte(i / 512 % 251)
	}
	if err := unix.Prctl(unix.PR_SET_THP_DISABLE, 0, 0, 0, 0); err != nil {
		return err
	}
	for stdin := bufio.NewReader(os.Stdin); ; {
		for i := 0; i < len(touched); i += 512 {
			if touched[i] != byte(i/512%251) {
				return fmt.Errorf("byte %d has changed", i)
			}
		}
		fmt.Println("fine")
		if _, err := stdin.ReadString('\n'); err != nil {
			return nil
		}
	}
}

// running is a process of the test's own that stands for a guest's QEMU.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Writer
	out   *bufio.Reader
	guest Guest
	host  host.Host
}

func start(t *testing.T, kind string) *running {
	t.Helper()
	hosttest.NeedRoot(t)
	program := filepath.Join(t.TempDir(), "qemu-of-a-test") // a guest's QEMU is known by its program, too
	text, err := os.ReadFile("/proc/self/exe")
	hosttest.Must(t, err)
	hosttest.Must(t, os.WriteFile(program, text, 0o700))
	cmd := exec.Command(program, "-uuid", someUUID)
	cmd.Env = append(os.Environ(), childVar+"="+kind)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	stdin, err := cmd.StdinPipe()
	hosttest.Must(t, err)
	stdout, err := cmd.StdoutPipe()
	hosttest.Must(t, err)
	hosttest.Must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	r := &running{t: t, cmd: cmd, stdin: stdin, out: bufio.NewReader(stdout), host: host.Host{Root: "/"}}
	r.fine()
	p, err := process.Find("/", cmd.Process.Pid)
	hosttest.Must(t, err)
	r.guest = Guest{Process: p, UUID: someUUID, RAM: func() (RAM, error) {
		return RAM{ramMiB * 1024, []pages.Backend{{Kind: pages.RAM, MemoryKiB: ramMiB * 1024}}}, nil
	}}
	return r
}

// fine reads that the process has found its memory as it wrote it.
func (r *running) fine() {
	r.t.Helper()
	if line, err := r.out.ReadString('\n'); err != nil || line != "fine\n" {
		r.t.Fatalf("the process with the memory: %q, %v", line, err)
	}
}

func (r *running) check() {
	r.t.Helper()
	_, err := io.WriteString(r.stdin, "\n")
	hosttest.Must(r.t, err)
	r.fine()
}

// hugeKiB is the kernel's count of the process's huge pages, read here.
func (r *running) hugeKiB() (sum int64) {
	r.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", r.cmd.Process.Pid))
	hosttest.Must(r.t, err)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if name == "AnonHugePages" || name == "ShmemPmdMapped" {
			n, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			hosttest.Must(r.t, err)
			sum += n
		}
	}
	return sum
}
