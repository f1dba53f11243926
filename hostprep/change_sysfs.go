package hostprep

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// readSysfs reads the value of a file of sysfs; "": there is none.
func readSysfs(parent int, name string) (string, error) {
	f, err := openSysfs(parent, name, unix.O_RDONLY)
	if errors.Is(err, unix.ENOENT) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4096)) // sysfs has a page at most
	return parseChoice(string(text)), err
}

// writeSysfs writes a value, and reads it back: the kernel takes values that it
// then does not have.
func writeSysfs(parent int, name, value string) error {
	f, err := openSysfs(parent, name, unix.O_WRONLY|unix.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if now, err := readSysfs(parent, name); err != nil || now != value {
		return errors.Join(err, fmt.Errorf("it is %q after it was written", now))
	}
	return nil
}

// openSysfs never makes a file, nor follows a link.
func openSysfs(parent int, name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(parent, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	return os.NewFile(uintptr(max(fd, 0)), name), err
}

// parseChoice reads the value of a kernel file, or the chosen one where it
// lists all:
//
//	always [madvise] never
func parseChoice(text string) string {
	_, rest, ok := strings.Cut(text, "[")
	if word, _, closed := strings.Cut(rest, "]"); ok && closed {
		return word
	}
	return strings.TrimSpace(text)
}
