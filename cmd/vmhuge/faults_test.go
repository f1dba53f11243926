package main

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vmhuge/hostprep/hosttest"
)

// onFirstThread is set where strace counts the system calls of a vmhuge: it counts them
// for each thread, and so the program stays on its first.
const onFirstThread = "VMHUGE_TEST_ON_FIRST_THREAD"

var _ = func() bool {
	if os.Getenv(onFirstThread) != "" {
		runtime.LockOSThread() // only before main is that the first thread for certain
	}
	return true
}()

// faultCalls are the system calls that TestFailingCalls lets fail.
const faultCalls = "open,openat,creat,write,pwrite64,ftruncate,rename,renameat,renameat2,fsync,fdatasync,mkdir,mkdirat,rmdir,unlink,unlinkat,link,linkat,symlink,symlinkat," +
	"chown,fchown,lchown,fchownat,chmod,fchmod,fchmodat,setxattr,fsetxattr,flock,mount,umount2"

// fault is one system call of a command, and how it fails.
type fault struct {
	call   string // such as renameat
	number int    // which call of that name, from 1
	how    string // as strace's inject= has it, after the call
	line   string // the call as it was without the fault
}

func (f fault) String() string { return fmt.Sprintf("%s %d %s, %s", f.call, f.number, f.how, f.line) }

// faultCase is a change of a host and the command that takes it back.
type faultCase struct {
	name, host, edits string
	forth, back       []string
}

var faultCases = []faultCase{
	{"prepare for a user", "fedora", faultsFedora, []string{"prepare", "--pages", "2", "--size", "1G", "--persist", "--user", "alice", "--shm-group", "kvm"}, []string{"undo"}},
	{"prepare for a group", "one-node", faultsDebian, []string{"prepare", "--pages", "2000", "--persist", "--mount-group=kvm"}, []string{"undo"}},
	{"hook", "one-node", faultsHook, []string{"hook", "install", "--drop-if-short", "--host-reserve", "4G"}, []string{"hook", "remove"}},
	// libvirt's test driver forgets, and is told what the domain is now.
	{"enable", "one-node", faultsDomain, []string{"enable", "web1", "-c", "test://HOST/srv/plain.xml"}, []string{"disable", "web1", "-c", "test://HOST/srv/enabled.xml"}},
}

// A system call that fails, and a kill at each, leave a host on which every change is
// either whole or on record, and no file is torn: the same command completes it, and the
// command for the way back leaves what was there before. FAULTS is how many faults are
// tried; 0: all.
func TestFailingCalls(t *testing.T) {
	hosttest.NeedRoot(t)
	if _, err := exec.LookPath("strace"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("needs strace; run: sudo ./just deps-test")
		}
		t.Skip("needs strace; run: sudo ./just deps-test")
	}
	count, err := strconv.Atoi(cmp.Or(os.Getenv("FAULTS"), "40"))
	hosttest.Must(t, err)
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("FAULTS_SEED"), strconv.FormatInt(time.Now().UnixNano(), 10)), 10, 64)
	hosttest.Must(t, err)
	t.Logf("FAULTS_SEED=%d", seed)
	for _, c := range faultCases {
		for _, back := range []bool{false, true} {
			name := c.name
			if back {
				name += ", the way back"
			}
			t.Run(name, func(t *testing.T) {
				b := newFaultBench(t, c, back)
				faults := b.faults(t)
				all := len(faults)
				if count > 0 {
					rand.New(rand.NewPCG(seed, 0)).Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
					faults = faults[:min(len(faults), max(1, count/len(faultCases)/2))]
				}
				for i, f := range faults {
					if i%50 == 0 {
						t.Logf("%d of %d", i, len(faults))
					}
					b.try(t, f)
				}
				t.Logf("%d of %d faults", len(faults), all)
			})
		}
	}
}

// faultBench tries faults of one command.
type faultBench struct {
	faultCase
	root     string
	from, to tree // of the command that the faults are in
	// before is the host without the change, after with it.
	before, after tree
	command       []string
	looked        map[string]bool // what faults have left, once it was looked at
}

func newFaultBench(t *testing.T, c faultCase, back bool) *faultBench {
	t.Helper()
	b := &faultBench{faultCase: c, root: hosttest.Unpack(t, c.host, c.edits).Path(), command: c.forth, looked: map[string]bool{}}
	b.before = treeOf(t, b.root)
	b.run(t, b.forth)
	b.after = treeOf(t, b.root)
	if b.before.text() == b.after.text() {
		t.Fatalf("%q changes nothing", b.forth)
	}
	b.run(t, b.back)
	b.same(t, "undone", b.before)
	b.from, b.to = b.before, b.after
	if back {
		b.from, b.to, b.command = b.after, b.before, b.back
	}
	b.after.restore(t, b.root)
	return b
}

// run runs vmhuge, which must succeed.
func (b *faultBench) run(t *testing.T, args []string) {
	t.Helper()
	if out, code := b.start(t, exec.Command("vmhuge", args...)); code != 0 {
		t.Errorf("vmhuge %q exits with %d: %s", args, code, out)
	}
}

func (b *faultBench) start(t *testing.T, cmd *exec.Cmd) (output string, code int) {
	t.Helper()
	for i := range cmd.Args {
		cmd.Args[i] = strings.ReplaceAll(cmd.Args[i], "HOST", b.root)
	}
	cmd.Env = append(os.Environ(), "VMHUGE_TEST_ROOT="+b.root, "LIBVIRT_DEFAULT_URI=test:///default", "GODEBUG=asyncpreemptoff=1", onFirstThread+"=1")
	cmd.Dir = b.root
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// straced runs the command under strace, and returns what that says.
func (b *faultBench) straced(t *testing.T, options ...string) (log []string, output string, code int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "log")
	b.from.restore(t, b.root)
	args := slices.Concat([]string{"-y", "-s", "300", "-o", file, "-e", "trace=" + faultCalls, "-e", "signal=none"}, options, []string{"vmhuge"}, b.command)
	output, code = b.start(t, exec.Command("strace", args...))
	text, err := os.ReadFile(file)
	hosttest.Must(t, err)
	// What is opened to be written anew loses its content here, but not in the kernel's /proc.
	for path := range treeOf(t, b.root) {
		if st, err := os.Stat(filepath.Join(b.root, path)); err == nil && st.Size() == 0 && b.from[path] != "" && strings.HasPrefix(path, "proc/") {
			_, content, _ := strings.Cut(b.from[path], ":0 ")
			hosttest.Must(t, os.WriteFile(filepath.Join(b.root, path), []byte(content), 0o644))
		}
	}
	return strings.Split(string(text), "\n"), output, code
}

var callOf = regexp.MustCompile(`^([a-z0-9]+)\(`)

// faults lists the faults to try: of each call that is about the host.
func (b *faultBench) faults(t *testing.T) []fault {
	t.Helper()
	log, out, code := b.straced(t)
	if code != 0 {
		t.Fatalf("exits with %d: %s", code, out)
	}
	var faults []fault
	numbers, seen := map[string]int{}, map[string]bool{}
	for _, line := range log {
		call := callOf.FindStringSubmatch(line)
		if call == nil {
			continue
		}
		numbers[call[1]]++
		if !strings.Contains(line, b.root) {
			continue
		}
		hows := []string{"error=EIO:when=%d", "error=ENOSPC:when=%d+", "error=EINTR:when=%d", "signal=KILL:when=%d"}
		if strings.HasPrefix(call[1], "open") && !strings.Contains(line, "O_CREAT") && !strings.Contains(line, "O_WRONLY") {
			if seen[line] {
				continue
			}
			seen[line] = true
			hows = hows[:1] // a kill there is one before the next call that writes
		}
		for _, how := range hows {
			faults = append(faults, fault{call[1], numbers[call[1]], fmt.Sprintf(how, numbers[call[1]]), line})
		}
	}
	if len(faults) < 10 {
		t.Fatalf("only %d faults, in\n%s", len(faults), strings.Join(log, "\n"))
	}
	return faults
}

// try lets one call of the command fail, and looks at what it leaves.
func (b *faultBench) try(t *testing.T, f fault) {
	t.Helper()
	said, code, hit := "", 0, false
	for range 5 { // the runtime's own calls shift the numbers, seldom
		var log []string
		log, said, code = b.straced(t, "-e", "inject="+f.call+":"+f.how)
		hit = slices.ContainsFunc(log, func(line string) bool {
			return strings.HasPrefix(line, f.call+"(") && strings.Contains(line, b.root) && (strings.Contains(line, "(INJECTED)") || strings.HasSuffix(line, "= ?"))
		})
		if hit {
			break
		}
	}
	if !hit {
		t.Errorf("%s: it was not injected", f)
		return
	}
	left := treeOf(t, b.root)
	failed := t.Failed()
	defer func() {
		if !failed && t.Failed() {
			t.Errorf("so it was after %s\n it exited with %d and said: %s\n and left: %v", f, code, said[max(0, len(said)-600):], left.differences(b.from))
		}
	}()
	for path := range left.differences(b.before) {
		// A folder may get its owner and its mode one after the other.
		if now := left[path]; now != b.after[path] && !strings.HasPrefix(now, "4") && !unfinished.MatchString(path) {
			t.Errorf("%s is torn: %q", path, now)
		}
	}
	if code == 0 && len(left.differences(b.to)) > 0 {
		t.Errorf("it exits with 0, and has not done: %v", left.differences(b.to))
	}
	if b.looked[left.text()] {
		return
	}
	b.looked[left.text()] = true
	b.run(t, b.back)
	b.same(t, "the way back", b.before)
	left.restore(t, b.root)
	b.run(t, b.forth)
	b.same(t, "the second run", b.after)
	b.run(t, b.back)
	b.same(t, "the way back after a second run", b.before)
}

func (b *faultBench) same(t *testing.T, what string, want tree) {
	t.Helper()
	if diff := treeOf(t, b.root).differences(want); len(diff) > 0 {
		t.Errorf("%s: it is (and was to be): %v", what, diff)
	}
}

// unfinished are files that have another name until they are whole, and the record.
var unfinished = regexp.MustCompile(`/\.[^/]*\.vmhuge$|/\.tmp-[0-9]*$|^var/lib/vmhuge(/|$)`)

// tree is what a host has: by path kind, mode, owner and content.
type tree map[string]string

func treeOf(t *testing.T, root string) tree {
	t.Helper()
	files := tree{}
	hosttest.Must(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		var st syscall.Stat_t
		if err == nil {
			err = syscall.Lstat(path, &st)
		}
		if err != nil || path == root {
			return err
		}
		text := fmt.Sprintf("%o %d:%d ", st.Mode, st.Uid, st.Gid)
		switch d.Type() {
		case 0:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += string(content)
			if strings.HasPrefix(path, root+"/proc/") { // the kernel adds the line end that it is not given
				text = strings.TrimSuffix(text, "\n")
			}
		case os.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += target
		}
		below, err := filepath.Rel(root, path)
		if below != "run/vmhuge" { // the ledger's, which ends with the boot
			files[below] = text
		}
		return err
	}))
	return files
}

// text is the tree as one text.
func (files tree) text() string {
	var all strings.Builder
	for _, path := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&all, "%s %q\n", path, files[path])
	}
	return all.String()
}

// differences are the paths that two hosts do not have alike, with what they are. The text
// of a record is no difference: which changes it lists shows when they are undone.
func (files tree) differences(other tree) map[string][2]string {
	differ := map[string][2]string{}
	for _, paths := range []tree{files, other} {
		for path := range paths {
			a, b := files[path], other[path]
			if a != b && !(a != "" && b != "" && strings.HasPrefix(path, "var/lib/vmhuge/")) {
				differ[path] = [2]string{a[:min(len(a), 200)], b[:min(len(b), 200)]}
			}
		}
	}
	return differ
}

// restore makes a host what it was.
func (files tree) restore(t *testing.T, root string) {
	t.Helper()
	now := treeOf(t, root)
	for _, path := range slices.Backward(slices.Sorted(maps.Keys(now))) {
		if now[path] != files[path] && (files[path] == "" || !strings.HasPrefix(now[path], "4")) {
			hosttest.Must(t, os.Remove(filepath.Join(root, path)))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if now[path] == files[path] {
			continue
		}
		var mode uint32
		var uid, gid int
		_, err := fmt.Sscanf(files[path], "%o %d:%d ", &mode, &uid, &gid)
		hosttest.Must(t, err)
		_, content, _ := strings.Cut(files[path], " ")
		_, content, _ = strings.Cut(content, " ")
		file := filepath.Join(root, path)
		switch mode & syscall.S_IFMT {
		case syscall.S_IFDIR:
			if err := os.Mkdir(file, 0o700); !os.IsExist(err) {
				hosttest.Must(t, err)
			}
		case syscall.S_IFLNK:
			hosttest.Must(t, os.Symlink(content, file))
			continue
		default:
			hosttest.Must(t, os.WriteFile(file, []byte(content), 0o600))
		}
		hosttest.Must(t, os.Chown(file, uid, gid))
		hosttest.Must(t, syscall.Chmod(file, mode&0o7777))
	}
}

// The hosts: systemd, and boot entries or GRUB's file.
const (
	faultsFedora = `
-- pools --
all 2048 512 512 0 0 0
all 1048576 2 2 0 0 0
0 2048 512 512 0
0 1048576 2 2 0
-- boot/loader/entries/a.conf --
title Fedora
linux /vmlinuz-1
options root=/dev/vda3 quiet
-- boot/loader/entries/b.conf --
title Fedora, the kernel before
linux /vmlinuz-0
options root=/dev/vda3 quiet
-- proc/cmdline --
root=/dev/vda3 quiet
-- proc/buddyinfo --
Node 0, zone   Normal   7094   4810   4500   2061    942    321    236    204     81    178    711
-- etc/systemd/system/x --

-- etc/security/limits.d/x --

-- usr/lib/systemd/system/dev-hugepages.mount --
[Mount]
Where=/dev/hugepages
-- var/lib/x --

-- proc/self/mountinfo --
22 27 0:21 / /proc rw,relatime - proc proc rw
24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw,size=4096k
27 1 254:0 / / rw,relatime - btrfs /dev/vda3 rw
44 24 0:41 / /dev/hugepages rw,nosuid,nodev,relatime shared:9 - hugetlbfs hugetlbfs rw,pagesize=2M
45 24 0:42 / /dev/hugepages1G rw,nosuid,nodev,relatime shared:9 - hugetlbfs hugetlbfs rw,pagesize=1024M
-- modes --
dev/hugepages1G/ 0755 0:0
`
	faultsDebian = `
-- run/systemd/system/x --

-- proc/buddyinfo --
Node 0, zone   Normal   7094   4810   4500   2061    942    321    236    204     81    178    711
-- proc/cmdline --
root=/dev/vda quiet
-- etc/systemd/system/x --

-- var/lib/x --

-- usr/lib/systemd/system/dev-hugepages.mount --
[Mount]
Where=/dev/hugepages
Options=nosuid,nodev
`
	faultsHook = `
-- etc/libvirt/qemu.conf --
# nothing
-- var/lib/x --

-- usr/lib/vmhuge/vmhuge-hook --
a program
`
	faultsDomain = `
-- var/lib/x --

-- srv/plain.xml --
<node><domain file="web1.xml"/></node>
-- srv/enabled.xml --
<node><domain file="web1-enabled.xml"/></node>
-- srv/web1.xml --
<domain type="test">
  <name>web1</name>
  <uuid>11111111-1111-1111-1111-111111111111</uuid>
  <memory unit="MiB">64</memory>
  <os><type>hvm</type></os>
</domain>
-- srv/web1-enabled.xml --
<domain type="test">
  <name>web1</name>
  <uuid>11111111-1111-1111-1111-111111111111</uuid>
  <metadata><vmhuge:former xmlns:vmhuge="urn:vmhuge:1"><vmhuge:was at="hugepages"/></vmhuge:former></metadata>
  <memory unit="MiB">64</memory>
  <memoryBacking><hugepages><page size="2" unit="M"/></hugepages></memoryBacking>
  <os><type>hvm</type></os>
</domain>
`
)
