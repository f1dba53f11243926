package hostprep

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// DomainLogDir is where the system driver keeps what QEMU says of each domain.
const DomainLogDir = "/var/log/libvirt/qemu"

// logTail is how much of a log is looked at, from its end: a start is some 10
// KiB of command line, and a few lines.
const logTail = 1 << 20

// DomainLog returns the end of a domain's log in a folder, and its path. It
// follows no links, for the folder may be another user's to write.
func (h Host) DomainLog(dir, domain string) (text, file string, err error) {
	file = path.Join(dir, domain+".log")
	if domain == "" || strings.ContainsAny(domain, "/\x00") {
		err = errors.New("no domain has this name")
	} else {
		text, err = h.readTail(dir, domain+".log")
	}
	if err != nil {
		err = &fs.PathError{Op: "open", Path: file, Err: err}
	}
	return text, file, err
}

func (h Host) readTail(dir, name string) (string, error) {
	parent, err := h.openDir(dir)
	if err != nil {
		if told := (*fs.PathError)(nil); errors.As(err, &told) {
			err = told.Err
		}
		return "", err
	}
	defer unix.Close(parent)
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ELOOP) {
		return "", irregularError("a symbolic link")
	}
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", irregularError("no regular file")
	}
	text, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-logTail), logTail))
	return string(text), err
}

// domainDir has a guest's id in it: /var/lib/libvirt/qemu/domain-7-web1.
var domainDir = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`/domain-([0-9]{1,9})-`) })

// idSince returns the highest id of a guest that was started since then, by its
// log; 0: none was. Each start writes:
//
//	2026-11-21 15:46:24.495+0000: starting up libvirt version: 9.0.0, …
//	…
//	-object '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/libvirt/qemu/domain-7-web1/master-key.aes"}' \
func idSince(log string, since time.Time) (id int) {
	counts := false
	for line := range strings.Lines(log) {
		stamp, rest, ok := strings.Cut(line, ": ")
		if ok && strings.HasPrefix(rest, "starting up libvirt") {
			at, err := time.Parse("2006-01-02 15:04:05.999-0700", stamp)
			counts = err == nil && !at.Before(since.Add(-time.Second)) // which is known to a second
		}
		if m := domainDir().FindStringSubmatch(line); counts && m != nil {
			n, _ := strconv.Atoi(m[1])
			id = max(id, n)
		}
	}
	return id
}
