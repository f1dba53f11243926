package hostfs

import (
	"os"
	"syscall"
)

// Open opens a file as os.OpenFile does, but leaves it out of the Go runtime's poller, which
// is for pipes and sockets: to learn that it can't wait for a regular file takes seven system
// calls and a thread, and the hook's whole work is some hundred calls. With O_NONBLOCK only
// the opening does not wait, as for who reads a pipe.
func Open(path string, flags int, perm os.FileMode) (*os.File, error) {
	fd, err := retry(func() (int, error) { return syscall.Open(path, flags|syscall.O_CLOEXEC, uint32(perm)) })
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	if flags&syscall.O_NONBLOCK != 0 {
		if err := syscall.SetNonblock(fd, false); err != nil {
			syscall.Close(fd)
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
	return os.NewFile(uintptr(fd), path), nil
}
