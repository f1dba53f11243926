package libvirtd

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"vmhuge/hostprep/host"
)

// DomainLog returns the end of a domain's log in a folder, and its path. It
// follows no links, for the folder may be another user's to write.
func DomainLog(h host.Host, dir, domain string) (text, file string, err error) {
	file = path.Join(dir, domain+".log")
	if domain == "" || strings.ContainsAny(domain, "/\x00") {
		err = errors.New("no domain has this name")
	} else {
		text, err = h.ReadTail(dir, domain+".log")
	}
	if err != nil {
		err = &fs.PathError{Op: "open", Path: file, Err: err}
	}
	return text, file, err
}

// domainDir has a guest's id in it: /var/lib/libvirt/qemu/domain-7-web1.
var domainDir = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`/domain-([0-9]{1,9})-`) })

// IDSince returns the highest id of a guest that was started since then, by its
// log; 0: none was. Each start writes:
//
//	2026-11-21 15:46:24.495+0000: starting up libvirt version: 9.0.0, …
//	…
//	-object '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/libvirt/qemu/domain-7-web1/master-key.aes"}' \
func IDSince(log string, since time.Time) (id int) {
	counts := false
	for line := range strings.Lines(log) {
		stamp, rest, ok := strings.Cut(line, ": ")
		if ok && strings.HasPrefix(rest, "starting up libvirt") {
			at, err := time.Parse("2006-01-02 15:04:05.999-0700", stamp)
			counts = err == nil && !at.Before(since.Add(-time.Second)) // since is accurate to a second
		}
		if m := domainDir().FindStringSubmatch(line); counts && m != nil {
			n, _ := strconv.Atoi(m[1])
			id = max(id, n)
		}
	}
	return id
}
