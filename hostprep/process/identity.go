package process

import (
	"os"
	"strconv"
	"strings"
	"syscall"

	"vmhuge/internal/hostfs"
)

// role is what a process can be, judged by properties that it can't choose itself.
type role int

const (
	notQEMU  role = iota
	stranger      // it runs QEMU for a user who has no part in libvirt's system guests
	trusted       // what its command line says of a guest counts
)

// identity tells processes apart without waiting for them: by the owner of /proc/PID,
// the program that it runs, and the pid files that libvirt writes as root. Anybody can
// write a guest's UUID on a command line.
type identity struct {
	root     hostfs.Root
	libvirt  hostfs.Libvirt
	users    map[uint32]bool
	admin    uint32         // who may write below /run/libvirt: the owner of /proc
	pidFiles map[int]string // names of guests, once all were read
}

func newIdentity(root hostfs.Root) *identity {
	i := &identity{root: root, libvirt: root.Libvirt(), users: map[uint32]bool{uint32(os.Geteuid()): true}}
	if uid, ok := ownerOf(root.Path("proc")); ok {
		i.admin = uid
		i.users[uid] = true
	}
	// libvirtd gives this folder to QEMU's user when it starts (qemuStateInitialize).
	if uid, ok := ownerOf(root.Path(i.libvirt.QEMULib())); ok {
		i.users[uid] = true
	}
	return i
}

func ownerOf(path string) (uid uint32, ok bool) {
	var st syscall.Stat_t
	err := syscall.Lstat(path, &st)
	return st.Uid, err == nil
}

// of says what a process may be.
func (i *identity) of(pid int) role {
	uid, ok := ownerOf(i.root.Path("proc", strconv.Itoa(pid)))
	if !ok || !i.runsQEMU(pid) {
		return notQEMU
	}
	// A guest may have a user of its own (<seclabel model='dac'>).
	if i.users[uid] || i.hasPIDFile(pid) {
		return trusted
	}
	return stranger
}

func (i *identity) runsQEMU(pid int) bool {
	name, _ := Program(i.root, pid)
	return isQEMU(name)
}

func isQEMU(program string) bool { return strings.HasPrefix(program, "qemu") || program == "kvm" }

// pidFile returns the process that libvirt has started for a guest of that name, 0
// if it names none.
func (i *identity) pidFile(name string) int {
	path := []string{i.libvirt.QEMUState(), name + ".pid"}
	pid, err := i.root.ReadInt(path...)
	if uid, ok := ownerOf(i.root.Path(path...)); err != nil || !ok || uid != i.admin {
		return 0
	}
	return int(pid)
}

func (i *identity) hasPIDFile(pid int) bool { return i.guestOf(pid) != "" }

// guestOf is the name of the guest that libvirt has started as a process.
func (i *identity) guestOf(pid int) string {
	if i.pidFiles == nil {
		i.pidFiles = map[int]string{}
		entries, _ := os.ReadDir(i.root.Path(i.libvirt.QEMUState()))
		for _, e := range entries {
			if name, ok := strings.CutSuffix(e.Name(), ".pid"); ok && e.Type().IsRegular() {
				i.pidFiles[i.pidFile(name)] = name
			}
		}
		delete(i.pidFiles, 0)
	}
	return i.pidFiles[pid]
}

// libvirtUUID is the UUID that libvirt's own notes give the guest that a process is,
// "" for none. Only root may read them:
//
//	<domstatus state='running' reason='booted' pid='4242'> … <domain type='kvm' id='1'> … <uuid>6695eb01-…</uuid>
func (i *identity) libvirtUUID(pid int) string {
	name := i.guestOf(pid)
	if name == "" {
		return ""
	}
	text, _ := i.root.Read(i.libvirt.QEMUState(), name+".xml")
	_, domain, _ := strings.Cut(text, "<domain ")
	_, rest, _ := strings.Cut(domain, "<uuid>")
	uuid, _, ok := strings.Cut(rest, "</uuid>")
	if !ok || !strings.Contains(text, "pid='"+strconv.Itoa(pid)+"'") || !IsUUID(uuid) {
		return ""
	}
	return uuid
}

// movesIn says whether libvirt's own notes have a guest of that name move to this host:
//
//	<domstatus state='paused' reason='migration' pid='4242'> … <job type='none' async='migration in' …> … <domain type='kvm' id='1'>
func (i *identity) movesIn(name string) bool {
	path := []string{i.libvirt.QEMUState(), name + ".xml"}
	text, err := i.root.Read(path...)
	uid, ok := ownerOf(i.root.Path(path...))
	status, _, _ := strings.Cut(text, "<domain ")
	return err == nil && ok && uid == i.admin && strings.Contains(status, " async='migration in'")
}

// IsUUID accepts what libvirt writes, 8-4-4-4-12 lower case hexadecimal
// digits: it becomes the name of a file.
func IsUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
