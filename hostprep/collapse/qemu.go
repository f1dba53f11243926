package collapse

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/process"
	"vmhuge/internal/advice"
)

// qemu is the QEMU of a guest, held by a pidfd: if it ends and its pid is reused, calls do
// not reach the other process.
type qemu struct {
	fd, pid int
	pagemap *os.File
}

var (
	errGone     = errors.New("the guest has ended meanwhile")
	errStopped  = advice.New("looking at the guest's memory", "interrupted", "")
	errNoAnswer = errors.New("the kernel has not answered in time: QEMU may be stopped with its memory map locked")
)

// openQEMU opens the pidfd first and then checks that the process is the guest's QEMU.
func openQEMU(h host.Host, g Guest) (*qemu, error) {
	fd, err := unix.PidfdOpen(g.Process.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, errGone
	}
	if err != nil {
		return nil, refused(err)
	}
	q := &qemu{fd: fd, pid: g.Process.PID}
	guests, err := within(context.Background(), readWithin, func() (map[string]process.Process, error) { return process.FindGuests(h.Root) })
	if err == nil {
		q.pagemap, err = os.Open(h.Root.Path("proc", strconv.Itoa(q.pid), "pagemap"))
	}
	if !errors.Is(err, errNoAnswer) && (guests[g.UUID] != g.Process || !q.alive()) { // if it is still alive, everything above was read from this process
		err = errGone
	}
	if err != nil {
		q.close()
		return nil, err
	}
	return q, nil
}

func (q *qemu) close() {
	_ = unix.Close(q.fd)
	if q.pagemap != nil {
		_ = q.pagemap.Close()
	}
}

// alive says whether the process still runs; until it ends its pid is not reused.
// A pidfd becomes readable when its process ends, reaped or not.
func (q *qemu) alive() bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(q.fd), Events: unix.POLLIN}}, 0)
		if !errors.Is(err, unix.EINTR) {
			return n == 0 && err == nil
		}
	}
}

// within limits the time of a call that waits for QEMU's memory map, which QEMU can lock
// for as long as it likes. A call that does not return in time is abandoned.
func within[T any](ctx context.Context, limit time.Duration, do func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		value, err := do()
		done <- answer{value, err}
	}()
	end := ctx.Done()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case a := <-done:
			return a.value, a.err
		case <-end: // let a call that has begun finish
			end = nil
			timer.Reset(min(limit, callWithin))
		case <-timer.C:
			var none T
			if err := ctx.Err(); err != nil {
				return none, err
			}
			return none, errNoAnswer
		}
	}
}

// supported finds out whether the kernel can collapse, by a call on no memory at all.
func (q *qemu) supported() error {
	return judgeSupport(q.madvise(span{}))
}

func judgeSupport(err error) error {
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		return advice.New("MADV_COLLAPSE", "this kernel does not have it for other processes", "boot Linux 6.1 or newer")
	case err != nil:
		return refused(err)
	}
	return nil
}

func refused(err error) error {
	switch {
	case errors.Is(err, unix.ESRCH):
		return errGone
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return advice.Wrap(err, "process_madvise", "run vmhuge as root on the host; in a container or unit, seccomp, AppArmor or SELinux may forbid it (it needs CAP_SYS_NICE and CAP_SYS_PTRACE)")
	}
	return advice.Wrap(err, "process_madvise", "")
}

// collapse makes all of a span huge, or returns the error of the last part that failed.
func (q *qemu) collapse(ctx context.Context, s span) error {
	_, err := within(ctx, readWithin, func() (struct{}, error) { return struct{}{}, q.madvise(s) })
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EINVAL) && !q.alive():
		return errGone
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.ENOSYS):
		return refused(err)
	}
	return err
}

func (q *qemu) madvise(s span) error {
	// Not a unix.Iovec: that has a pointer, and this is an address in another process.
	memory := struct{ base, length uintptr }{uintptr(s.start), uintptr(s.end - s.start)}
	for {
		_, _, errno := unix.Syscall6(unix.SYS_PROCESS_MADVISE, uintptr(q.fd), uintptr(unsafe.Pointer(&memory)), 1, unix.MADV_COLLAPSE, 0, 0)
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}

// The bits of /proc/PID/pagemap. Source: Documentation/admin-guide/mm/pagemap.rst.
const (
	pagemapPresent = 1 << 63
	pagemapSwapped = 1 << 62
	pagemapFrame   = 1<<55 - 1
)

// state says of each block in a span whether it is untouched or partly swapped out; if it
// is neither, only the kernel's answer tells why it can't be collapsed.
func (q *qemu) state(s span, size uint64) ([]Reason, error) {
	page := uint64(os.Getpagesize())
	entries := make([]byte, (s.end-s.start)/page*8)
	_, err := within(context.Background(), readWithin, func() (int, error) { return q.pagemap.ReadAt(entries, int64(s.start/page*8)) })
	if !q.alive() {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	var reasons []Reason
	for block := range slices.Chunk(entries, int(size/page*8)) {
		reasons = append(reasons, pagemapReason(block, zeroPage()))
	}
	return reasons, nil
}

// pagemapReason reads a block's part of /proc/PID/pagemap, 64 bits a page. Zero is the frame of a page
// that the guest has only read, or of which the kernel has found that it has nothing but zeros as it
// split a huge page (Linux 6.12): such a page takes no memory, and the kernel refuses a block of these.
func pagemapReason(entries []byte, zero uint64) Reason {
	reason := Untouched
	for ; len(entries) >= 8; entries = entries[8:] {
		switch entry := binary.NativeEndian.Uint64(entries); {
		case entry&pagemapSwapped != 0:
			return Swapped
		case entry&pagemapPresent != 0 && (zero == 0 || entry&pagemapFrame != zero):
			reason = Refused
		}
	}
	return reason
}

// zeroPage is the frame of the kernel's page of zeros; 0: not known.
var zeroPage = sync.OnceValue(func() uint64 {
	size := os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return 0
	}
	defer func() { _ = unix.Munmap(memory) }()
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return 0
	}
	defer pagemap.Close()
	entry := make([]byte, 8)
	at := int64(uintptr(unsafe.Pointer(&memory[0]))) / int64(size) * 8
	if err := unix.Madvise(memory, unix.MADV_POPULATE_READ); err != nil {
		return 0
	}
	if _, err := pagemap.ReadAt(entry, at); err != nil {
		return 0
	}
	return binary.NativeEndian.Uint64(entry) & pagemapFrame
})
