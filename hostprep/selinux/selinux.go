// Package selinux asks the kernel's SELinux what its policy allows, and reads which label
// the policy gives to a file. It changes nothing.
package selinux

import (
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
)

const root = "/sys/fs/selinux"

// Enforcing says whether SELinux is on and blocks what its policy does not allow.
func Enforcing(h host.Host) (bool, error) {
	text, err := h.ReadIfThere(root + "/enforce")
	return strings.TrimSpace(text) == "1", err
}

// on says whether the kernel has a policy loaded, enforced or not.
func on(h host.Host) bool {
	text, err := h.ReadIfThere(root + "/enforce")
	return err == nil && text != ""
}

// Process is the context of a process, such as system_u:system_r:virtqemud_t:s0.
func Process(h host.Host, pid string) (string, error) {
	text, err := h.ReadIfThere("/proc/" + pid + "/attr/current")
	return trim(text), err
}

// File is the context of a file, of which no link is followed; "": it has none, or is not
// there.
func File(h host.Host, path string) (string, error) {
	label := make([]byte, 4096)
	n, err := unix.Lgetxattr(h.Root.Path(path), "security.selinux", label)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", &fs.PathError{Op: "getxattr", Path: path, Err: err}
	}
	return trim(string(label[:n])), nil
}

func trim(context string) string { return strings.Trim(context, "\x00\n ") }

// Type is the third part of a context, by which policies tell processes and files apart:
// virtqemud_t.
func Type(context string) string {
	parts := strings.Split(context, ":")
	if len(parts) < 3 {
		return context
	}
	return parts[2]
}
