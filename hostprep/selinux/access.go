package selinux

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
)

// Denial is what the policy does not let a process do.
type Denial struct {
	Subject, Object string   // contexts of the process and of what it is done to
	Class           string   // of the object: file, process
	Permissions     []string // that are missing
}

func (d Denial) String() string {
	return fmt.Sprintf("SELinux denies %s %s of a %s of type %s", Type(d.Subject), strings.Join(d.Permissions, ", "), d.Class, Type(d.Object))
}

// Execution finds what keeps a process with this context from running a program with that
// one; nil: nothing. The program may run in a domain of its own, of which the process must be
// allowed the transition, and the domain the program.
//
// Source: selinux_bprm_creds_for_exec() in security/selinux/hooks.c.
func Execution(h host.Host, process, program string) (*Denial, error) {
	domain, err := Domain(h, process, program)
	if err != nil {
		return nil, err
	}
	steps := []Denial{{process, program, "file", []string{"open", "read", "execute", "execute_no_trans"}}}
	if domain != process {
		steps = []Denial{
			{process, program, "file", []string{"open", "read", "execute"}},
			{process, domain, "process", []string{"transition"}},
			{domain, program, "file", []string{"entrypoint", "read", "map", "execute"}},
		}
	}
	return first(h, steps)
}

// Domain is the context in which a process with this one runs a program with that one.
func Domain(h host.Host, process, program string) (string, error) {
	return created(h, process, program, "process")
}

// created is the context of what a process makes of an object, such as a file of a folder.
func created(h host.Host, process, object, class string) (string, error) {
	number, err := classNumber(h, class)
	if err != nil {
		return "", err
	}
	context, err := transaction(h, "create", fmt.Sprintf("%s %s %d", process, object, number))
	return trim(context), err
}

// first finds the first of these steps of which a permission is missing, with those that are.
func first(h host.Host, steps []Denial) (*Denial, error) {
	for _, s := range steps {
		var err error
		if s.Permissions, err = missing(h, s); err != nil || len(s.Permissions) > 0 {
			return &s, err
		}
	}
	return nil, nil
}

// missing asks which of the permissions the policy does not give. A domain that is permissive
// lacks none. A permission that the policy does not know is not asked about.
func missing(h host.Host, d Denial) ([]string, error) {
	class, err := classNumber(h, d.Class)
	if err != nil {
		return nil, err
	}
	answer, err := transaction(h, "access", fmt.Sprintf("%s %s %d", d.Subject, d.Object, class))
	if err != nil {
		return nil, err
	}
	// allowed decided auditallow auditdeny seqno flags, in hexadecimal but for seqno
	f := strings.Fields(answer)
	if len(f) < 5 {
		return nil, fmt.Errorf("%s/access: %q is not a decision", root, answer)
	}
	allowed, err := strconv.ParseUint(f[0], 16, 32)
	if err != nil {
		return nil, fmt.Errorf("%s/access: %w", root, err)
	}
	const permissive = 1 // SELINUX_AVD_FLAGS_PERMISSIVE
	if len(f) > 5 {
		if flags, err := strconv.ParseUint(f[5], 16, 32); err == nil && flags&permissive != 0 {
			return nil, nil
		}
	}
	var denied []string
	for _, name := range d.Permissions {
		bit, err := number(h, path.Join(root, "class", d.Class, "perms", name))
		if err != nil {
			return nil, err
		}
		if bit > 0 && allowed&(1<<(bit-1)) == 0 {
			denied = append(denied, name)
		}
	}
	return denied, nil
}

func classNumber(h host.Host, class string) (int, error) {
	n, err := number(h, path.Join(root, "class", class, "index"))
	if err == nil && n == 0 {
		err = fmt.Errorf("%s: the policy has no class %s", root, class)
	}
	return n, err
}

// number reads a number of selinuxfs; 0: there is no such file.
func number(h host.Host, file string) (int, error) {
	text, err := h.ReadIfThere(file)
	if err != nil || text == "" {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 0 || n > 32 && path.Base(file) != "index" {
		return 0, fmt.Errorf("%s: %q is not a number of a class or permission", file, text)
	}
	return n, nil
}

// transaction writes a question to a file of selinuxfs and reads the answer. In a tree of
// files that is no kernel's, the file has a line for each: QUESTION = ANSWER.
func transaction(h host.Host, name, question string) (string, error) {
	file := path.Join(root, name)
	if !h.Real() {
		text, err := h.Root.Read(file)
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(text) {
			if asked, answer, ok := strings.Cut(strings.TrimSpace(line), " = "); ok && asked == question {
				return answer, nil
			}
		}
		return "", &fs.PathError{Op: "write", Path: file + " " + question, Err: unix.EINVAL}
	}
	fd, err := unix.Open(file, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: file, Err: err}
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(question)); err != nil {
		return "", &fs.PathError{Op: "write", Path: file, Err: err}
	}
	answer := make([]byte, 4096)
	n, err := unix.Pread(fd, answer, 0)
	if err != nil {
		return "", &fs.PathError{Op: "read", Path: file, Err: err}
	}
	return string(answer[:n]), nil
}
