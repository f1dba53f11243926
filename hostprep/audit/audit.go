// Package audit finds in the kernel's audit records what AppArmor or SELinux denied a
// guest of its huge pages.
package audit

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/lazyregexp"
)

// Denial is what a security module has kept a process from.
type Denial struct {
	Module  string // AppArmor or SELinux
	Subject string // AppArmor's profile, or SELinux's context
	Command string
	PID     int
	What    string // as the module writes it: r, or read write
	Path    string
	Label   string    // SELinux's context of Path
	FS      string    // the type of the file system that Path is on; "": it is not told
	Time    time.Time // zero: it is not told
}

// denialLogs are where the kernel's audit records come to lie: with auditd in
// the first, else in the kernel's log, which a syslog daemon copies.
var denialLogs = [][2]string{{"/var/log/audit", "audit.log"}, {"/var/log", "kern.log"}, {"/var/log", "messages"}}

// freshDenial is the age up to which a denial is taken for the failure at hand.
const freshDenial = time.Hour

// Denied finds what AppArmor or SELinux has kept a guest's QEMU, or libvirt for it, from
// of its huge pages; uuid "": any guest's. onFile: of a guest whose RAM is a file with a name.
// What is older than an hour is a Note.
func Denied(h host.Host, uuid string, onFile bool, now time.Time) ([]hostprep.Finding, error) {
	denials, err := denials(h)
	if onFile {
		denials = slices.DeleteFunc(denials, Denial.isMemfd)
	}
	findings, mountsErr := denied(h, denials, uuid, now)
	return findings, errors.Join(err, mountsErr)
}

// DeniedBetween is Denied for what was denied in a span of time, as a guest's start takes: how
// long ago that is does not matter.
func DeniedBetween(h host.Host, uuid string, from, to time.Time) ([]hostprep.Finding, error) {
	denials, err := denials(h)
	denials = slices.DeleteFunc(denials, func(d Denial) bool { return d.Time.Before(from) || d.Time.After(to) })
	findings, mountsErr := denied(h, denials, uuid, time.Time{})
	return findings, errors.Join(err, mountsErr)
}

// DeniedIn is Denied for records that a text has, which may be of another host, and
// of any time.
func DeniedIn(h host.Host, text string) ([]hostprep.Finding, error) {
	denials := parseDenials(text)
	for i := range denials {
		denials[i].Time = time.Time{}
	}
	return denied(h, denials, "", time.Time{})
}

func denied(h host.Host, denials []Denial, uuid string, now time.Time) ([]hostprep.Finding, error) {
	mounts, err := h.Mounts()
	var findings []hostprep.Finding
	for _, d := range denials {
		if !d.concerns(uuid, mounts) {
			continue
		}
		f := hostprep.Finding{
			Check: "denials", Severity: hostprep.Warning, Verdict: hostprep.NoAccess, Cause: hostprep.SecurityModule, Changes: []change.Change{},
			Have: fmt.Sprintf("%s denied %s (process %d) %q access to %s", d.Module, d.Command, d.PID, d.What, d.object()),
			Need: "permission for QEMU to use its huge pages",
		}
		if !d.Time.IsZero() {
			f.Have += ", " + d.Time.UTC().Format(time.RFC3339)
		}
		if !now.IsZero() && now.Sub(d.Time) > freshDenial {
			f.Severity = hostprep.Note
		}
		f.Do = d.cure(mounts)
		switch {
		case d.Module == "AppArmor" && strings.HasSuffix(d.Path, "/cpumap"):
			f.Cause = hostprep.AppArmorNUMA
		case d.Module == "AppArmor" && d.isMemfd():
			f.Cause = hostprep.AppArmorMemfd
		}
		findings = append(findings, f)
	}
	return findings, err
}

// isMemfd says that the denied file is QEMU's memfd: SELinux's records have its name,
// and AppArmor's a bare /, as it is in no folder.
func (d Denial) isMemfd() bool {
	return strings.HasPrefix(d.Path, "/memfd:") || strings.HasPrefix(d.Path, "memfd:") || d.Module == "AppArmor" && d.Path == "/"
}

// ofDaemon says that libvirt's daemon was denied, which makes the guests' folders.
func (d Denial) ofDaemon() bool {
	return strings.Contains(d.Subject, ":virtqemud_t:") || strings.Contains(d.Subject, ":virtd_t:")
}

// object names what was denied. SELinux's records have only the last name of a path
// that was not open yet: a / is the root of its file system.
func (d Denial) object() string {
	switch {
	case d.isMemfd():
		return "its memfd"
	case d.Path == "/" && d.FS != "":
		return "the root of a " + d.FS
	case !strings.HasPrefix(d.Path, "/") && d.FS != "":
		return d.Path + " on a " + d.FS
	}
	return d.Path
}

// concerns says whether a guest's QEMU, or libvirt's daemon for it, was kept from what
// it needs for its pages.
func (d Denial) concerns(uuid string, mounts []host.Mount) bool {
	onMount := strings.Contains(d.Path, "hugepage") || strings.Contains(d.Path, "/huge") && strings.Contains(d.Path, "/"+libvirtd.SystemBase+"/") || strings.Contains(d.Label, ":hugetlbfs_t:") || d.FS == "hugetlbfs" ||
		slices.ContainsFunc(mounts, func(m host.Mount) bool { return host.Within(path.Clean(d.Path), m.Point) })
	if d.Module == "SELinux" { // its contexts don't tell one guest from another
		// Every process may call itself qemu; of those that are confined as libvirt's are not,
		// only containers may have one.
		inContainer := strings.Contains(d.Subject, ":container_") && strings.HasPrefix(d.Command, "qemu")
		return onMount && (strings.Contains(d.Subject, ":svirt") || inContainer || d.ofDaemon())
	}
	profile, _, _ := strings.Cut(d.Subject, "//")
	ofGuest := profile == "libvirt-"+uuid || uuid == "" && strings.HasPrefix(profile, "libvirt-")
	return ofGuest && (onMount || d.isMemfd() || strings.Contains(d.Path, "/devices/system/node/"))
}

// denials reads all that is on record; what can't be read for want of permission
// is an error.
func denials(h host.Host) ([]Denial, error) {
	var all []Denial
	var refused error
	add := func(text string, err error) {
		if errors.Is(err, fs.ErrPermission) {
			refused = err
		}
		for _, d := range parseDenials(text) {
			// The same record lies in several logs.
			if !slices.Contains(all, d) {
				all = append(all, d)
			}
		}
	}
	for _, log := range denialLogs {
		text, err := h.ReadTail(log[0], log[1])
		add(text, err)
	}
	add(readKmsg(h))
	if len(all) > 0 {
		refused = nil
	}
	return all, refused
}

// readKmsg reads the kernel's log, a record a read, until it would wait. It leaves out
// what programs wrote into it, which begins with a facility other than the kernel's: 12,1021,…
func readKmsg(h host.Host) (string, error) {
	fd, err := unix.Open(h.Root.Path("dev", "kmsg"), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var text strings.Builder
	for record := make([]byte, 8192); ; {
		n, err := unix.Read(fd, record)
		switch {
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.EINTR): // some were overwritten meanwhile
		case err != nil || n <= 0:
			return text.String(), nil
		default:
			text.WriteString(kernelRecord(string(record[:n])))
		}
	}
}

// kernelRecord is a record of /dev/kmsg if it is the kernel's own, else "". Its first number
// is 8 times the facility, which is 0 for the kernel alone, and the level.
func kernelRecord(record string) string {
	number, _, _ := strings.Cut(record, ",")
	if priority, err := strconv.Atoi(number); err != nil || priority>>3 != 0 {
		return ""
	}
	return record
}

var (
	auditTime   = lazyregexp.New(`\baudit\(([0-9]{1,12})\.([0-9]{3}):`)
	seLinuxVerb = lazyregexp.New(`\bavc: +denied +\{ ([a-z_ ]+) \}`)
)

// parseDenials reads audit records, as auditd and as the kernel's log have them:
//
//	type=AVC msg=audit(1729238705.963:170): avc:  denied  { read write } for  pid=1681 comm="qemu-kvm" path="/dev/hugepages/libvirt/qemu/1-a/x" dev="hugetlbfs" ino=86 scontext=system_u:system_r:svirt_t:s0:c1,c2 tcontext=system_u:object_r:hugetlbfs_t:s0 tclass=file permissive=0
//	[25941.1] audit: type=1400 audit(1600267331.284:8573): apparmor="DENIED" operation="open" profile="libvirt-1c01664c-8f99-4942-85c9-2c0c90b2e92b" name="/sys/devices/system/node/node0/cpumap" pid=204198 comm="qemu-system-x86" requested_mask="r" denied_mask="r" fsuid=64055 ouid=0
//
// What SELinux permits though no rule does is none: permissive=1.
func parseDenials(text string) []Denial {
	var denials []Denial
	for line := range strings.Lines(text) {
		var d Denial
		if auditField(line, "apparmor") == "DENIED" {
			d = Denial{Module: "AppArmor", Subject: auditField(line, "profile"), Path: auditField(line, "name"), What: auditField(line, "denied_mask")}
		} else if verb := seLinuxVerb.Get().FindStringSubmatch(line); verb != nil && auditField(line, "permissive") != "1" {
			d = Denial{Module: "SELinux", Subject: auditField(line, "scontext"), Label: auditField(line, "tcontext"), FS: auditField(line, "dev"), What: verb[1], Path: auditField(line, "path")}
			if d.Path == "" {
				d.Path = auditField(line, "name")
			}
		} else {
			continue
		}
		d.Command = auditField(line, "comm")
		d.PID, _ = strconv.Atoi(auditField(line, "pid"))
		if at := auditTime.Get().FindStringSubmatch(line); at != nil {
			seconds, _ := strconv.ParseInt(at[1], 10, 64)
			d.Time = time.Unix(seconds, 0)
		}
		denials = append(denials, d)
	}
	return denials
}

// auditField returns a value of a record: in quotation marks, or bare, or in
// hexadecimal where it has what would break the record, a blank or a line end.
func auditField(line, key string) string {
	_, rest, ok := strings.Cut(" "+line, " "+key+"=")
	if !ok {
		return ""
	}
	if quoted, ok := strings.CutPrefix(rest, `"`); ok {
		value, _, _ := strings.Cut(quoted, `"`)
		return value
	}
	value, _, _ := strings.Cut(strings.TrimRight(rest, "\n"), " ")
	if text, err := hex.DecodeString(value); err == nil && slices.Contains([]string{"name", "path", "comm", "profile"}, key) {
		return string(text)
	}
	return value
}
