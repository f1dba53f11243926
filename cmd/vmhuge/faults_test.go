package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
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

// A system call that fails, and a kill at each, leave a host on which every change is
// either whole or on record, and no file is torn: the same command completes it, and the
// command for the way back leaves what was there before. FAULTS is how many faults are
// tried; 0: all.
func TestFailingCalls(t *testing.T) {
	hosttest.NeedRoot(t)
	if leftOut() {
		t.Skip("just unit leaves it out; run: sudo ./just test")
	}
	if _, err := exec.LookPath("strace"); err != nil {
		hosttest.Lacks(t, "needs strace; run: sudo ./just deps-test")
	}
	count, err := strconv.Atoi(cmp.Or(os.Getenv("FAULTS"), "24"))
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
	for _, wrong := range b.run(t, b.forth) {
		t.Fatal(wrong)
	}
	b.after = treeOf(t, b.root)
	if b.before.text() == b.after.text() {
		t.Fatalf("%q changes nothing", b.forth)
	}
	for _, wrong := range append(b.run(t, b.back), b.differs(t, "undone", b.before)...) {
		t.Fatal(wrong)
	}
	b.from, b.to = b.before, b.after
	if back {
		b.from, b.to, b.command = b.after, b.before, b.back
	}
	b.after.restore(t, b.root)
	return b
}

// run runs vmhuge, and says what is wrong: it must succeed.
func (b *faultBench) run(t *testing.T, args []string) (wrong []string) {
	t.Helper()
	if out, code := b.start(t, exec.Command("vmhuge", args...)); code != 0 {
		wrong = append(wrong, fmt.Sprintf("vmhuge %q exits with %d: %s", args, code, out))
	}
	return wrong
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
	var wrong []string
	for path := range left.differences(b.before) {
		// A folder may get its owner and its mode one after the other.
		if now := left[path]; now != b.after[path] && !strings.HasPrefix(now, "4") && !unfinished.MatchString(path) {
			wrong = append(wrong, fmt.Sprintf("%s is torn: %q", path, now))
		}
	}
	if code == 0 && len(left.differences(b.to)) > 0 {
		wrong = append(wrong, fmt.Sprintf("it exits with 0, and has not done: %v", left.differences(b.to)))
	}
	if !b.looked[left.text()] {
		b.looked[left.text()] = true
		wrong = slices.Concat(wrong, b.run(t, b.back), b.differs(t, "the way back", b.before))
		left.restore(t, b.root)
		wrong = slices.Concat(wrong, b.run(t, b.forth), b.differs(t, "the second run", b.after))
		wrong = slices.Concat(wrong, b.run(t, b.back), b.differs(t, "the way back after a second run", b.before))
	}
	if len(wrong) > 0 {
		t.Errorf("%s\n %s\n it exited with %d and said: %s\n and left: %v", f, strings.Join(wrong, "\n "), code, said[max(0, len(said)-600):], left.differences(b.from))
	}
}

// differs says what is not on the host as it is to be.
func (b *faultBench) differs(t *testing.T, what string, want tree) (wrong []string) {
	t.Helper()
	if diff := treeOf(t, b.root).differences(want); len(diff) > 0 {
		wrong = append(wrong, fmt.Sprintf("%s: it is (and was to be): %v", what, diff))
	}
	return wrong
}

// unfinished are files that have another name until they are whole, and the record.
var unfinished = regexp.MustCompile(`/\.[^/]*\.vmhuge$|/\.tmp-[0-9]*$|^var/lib/vmhuge(/|$)`)
