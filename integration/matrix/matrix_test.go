// Package matrix runs the integration tests with the libvirt and the QEMU of several
// releases of Debian, each in a chroot, on this machine's kernel and pools, and with a
// libvirt whose daemons are split.
package matrix

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// row is a release of Debian, and the daemon that starts guests there. The oldest is first:
// it builds what all of them run.
type row struct{ suite, name, daemon string }

var rows = []row{
	{"bullseye", "Debian 11", "libvirtd"},
	{"bookworm", "Debian 12", "libvirtd"},
	{"trixie", "Debian 13", "libvirtd"},
	{"trixie-virtqemud", "Debian 13 with virtqemud", "virtqemud"},
	{"trixie-backports", "Debian 13 with backports", "libvirtd"},
}

// suite is a column: the tests of one job, by name.
type suite struct {
	name  string
	tests []string
}

// suites leave out what needs more than libvirtd and QEMU, such as systemd, a micro-VM
// or a browser, and what is the same with any libvirt.
var suites = []suite{
	{"faults", []string{"TestCheckHost", "TestFaults", "TestFaultsOfProbe", "TestShapes", "TestUnfilledPage"}},
	{"hook", []string{"TestHookInstall", "TestHookGetsPages", "TestHookFailedStart", "TestHookRefuses", "TestHookWithoutRoomInRun", "TestHookManagedSave",
		"TestHookAndVmhuge", "TestHookBesideAnother", "TestStartIfShort", "TestKeep", "TestKeepRefused"}},
	{"start", []string{"TestGuestBoots", "TestPausedStartTakesAllPages", "TestGuestOutlivesLibvirtd", "TestEnableLosesNothing", "TestDisableAfterFilter", "TestUsersOwnHugepagesStay",
		"TestEnableRefuses", "TestEnableInVain", "TestOddNames", "TestEngines", "TestSavedState", "TestShutdownIsWaitedFor", "TestPoolOnePageShort", "TestReadyHostIsLeftAlone",
		"TestRefusedStartGivesBack", "TestTooLittleMemory", "TestHostReserve", "TestMendsFolders", "TestInterrupted"}},
	{"verify", []string{"TestEnableStartVerifyStop", "TestVerifyWait", "TestVerifyUntouched", "TestTHP", "TestTHPNotAligned", "TestTHPByCell"}},
	{"prepare and undo", []string{"TestPrepare", "TestPreparePages", "TestPrepareForAProgram", "TestPreparePersist", "TestPrepareKilled", "TestPrepareUser", "TestUninstall"}},
	{"a running guest", []string{"TestMemoryRefused", "TestMemoryDIMM", "TestMemoryGuest", "TestBalloon", "TestCollapse", "TestStatusStream"}},
}

// microVMKernel is the suite of the kernel of micro-VMs: that of Debian 12 hangs in QEMU 10.0.
const microVMKernel = "trixie"

var update = flag.Bool("update", false, "write the results to docs/tested.md")

func TestMatrix(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this needs root, for chroots and huge pages; run: sudo ./just matrix")
	}
	chosen := rows
	if commit, sampling := sample(t); sampling {
		i := commit % len(rows)
		chosen = rows[i : i+1]
	}
	if only := os.Getenv("MATRIX_ROW"); only != "" {
		chosen = slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.suite != only })
		if len(chosen) == 0 {
			t.Fatalf("there is no row %q; there are %v", only, rows)
		}
	}
	runtime.LockOSThread() // the programs end with the thread that starts them
	built := build(t)
	for _, r := range chosen {
		t.Run(r.suite, func(t *testing.T) {
			runtime.LockOSThread()
			found := r.run(t, makeChroot(t, r.suite), built)
			t.Logf("\n%s", strings.Join(found.lines(), "\n"))
			if *update {
				document(t, r.name, found)
			}
		})
	}
}

// sample is the number of the commit whose share is to run: one row in turn, a share of each of
// its tables, and some of its other tests.
func sample(t *testing.T) (commit int, sampling bool) {
	t.Helper()
	text := os.Getenv("SAMPLE")
	if text == "" {
		return 0, false
	}
	commit, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("SAMPLE=%q is not a number", text)
	}
	return commit, true
}

// tests are the names of those that run: of a sample the tables, and one in so many of the others.
func tests(t *testing.T) (names []string) {
	t.Helper()
	const share = 4
	commit, sampling := sample(t)
	turn := commit / len(rows)
	for _, s := range suites {
		for _, name := range s.tests {
			isTable := name == "TestFaults" || name == "TestShapes"
			if !isTable {
				turn++
			}
			if !sampling || isTable || turn%share == 0 {
				names = append(names, name)
			}
		}
	}
	return names
}

// chroot is a release's folder in the cache.
type chroot string

func makeChroot(t *testing.T, suite string) chroot {
	t.Helper()
	dir := filepath.Join(cache(t), "matrix", suite)
	if out, err := exec.Command("./chroot", suite, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return chroot(dir)
}

func cache(t *testing.T) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "vmhuge")
}

// command runs in there, in the first of these folders, which are where they are here.
func (c chroot) command(folders, environment []string, args ...string) *exec.Cmd {
	inside := slices.Concat([]string{string(c)}, folders, []string{"--", "env", "-i", "--chdir=" + folders[0], "HOME=" + os.Getenv("HOME")}, environment, args)
	cmd := exec.Command("./inside", inside...)
	cmd.SysProcAttr = &unix.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGTERM}
	return cmd
}

// build makes the programs and the tests' binary, once, with the oldest release: vmhuge
// links libvirt and libc, and what is linked with old ones runs with newer ones, but not
// the other way round.
func build(t *testing.T) (dir string) {
	t.Helper()
	c, dir := makeChroot(t, rows[0].suite), t.TempDir()
	goRoot, modules := goEnv(t, "GOROOT"), goEnv(t, "GOMODCACHE")
	made := filepath.Join(cache(t), "matrix", "go-build") // not the machine's: cgo's results depend on headers that go does not see
	if err := os.MkdirAll(made, 0o755); err != nil {
		t.Fatal(err)
	}
	environment := []string{"PATH=" + goRoot + "/bin:/usr/bin:/bin", "GOCACHE=" + made, "GOMODCACHE=" + modules, "GOTOOLCHAIN=local", "GOPROXY=off"}
	for _, step := range [][]string{
		{"CGO_ENABLED=1", "go", "build", "-tags", "urfave_cli_no_docs", "-buildvcs=false", "-o", dir + "/bin/", "./cmd/vmhuge"},
		{"CGO_ENABLED=0", "go", "build", "-buildvcs=false", "-o", dir + "/bin/", "./cmd/vmhuge-hook"},
		{"CGO_ENABLED=1", "go", "test", "-c", "-vet=off", "-o", dir + "/integration.test", "./integration"},
	} {
		cmd := c.command([]string{repository(t), goRoot, modules, made, dir}, environment, step...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", step, err, out)
		}
	}
	return dir
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func repository(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// run runs the tests in there, and those rows for which this machine has no pages of 1 GiB
// in a micro-VM, with the same libvirt and QEMU.
func (r row) run(t *testing.T, c chroot, built string) results {
	t.Helper()
	_, sampling := sample(t)
	makers := [][]string{{"../../examples/guest", filepath.Join(cache(t), "guest")}} // they need this machine's apt
	if !sampling {
		makers = append(makers, []string{"../lab/microvm", microVM(t), microVMKernel})
	}
	for _, maker := range makers {
		if out, err := exec.Command(maker[0], maker[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", maker, err, out)
		}
	}
	names := tests(t)
	found, err := r.runTests(t, c, built, "", "-test.skip=^TestMicroVM", "-test.run=^("+strings.Join(names, "|")+")$")
	for _, name := range names {
		if !slices.ContainsFunc(found.tests, func(o outcome) bool { return o.name == name }) {
			t.Fatalf("no test %s has run: %v", name, err)
		}
	}
	if rows := found.left(); len(rows) > 0 && !sampling {
		inside, inErr := r.runTests(t, c, built, strings.Join(rows, ","), "-test.run=^TestMicroVMPagesOf1GiB$")
		found.add(inside)
		err = errors.Join(err, inErr)
	}
	if err != nil {
		t.Errorf("the tests: %v", err)
	}
	found.libvirt, found.qemu = c.version(t, "libvirt0"), c.version(t, "qemu-system-x86")
	return found
}

// runTests runs the tests' binary, and shows what it says: of a share, whose output CI prints, only
// if it fails.
func (r row) runTests(t *testing.T, c chroot, built, rows string, flags ...string) (results, error) {
	t.Helper()
	cmd := c.command([]string{repository(t) + "/integration", repository(t), filepath.Join(cache(t), "guest"), microVM(t), built},
		[]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "VMHUGE_INTEGRATION_BUILT=" + built + "/bin", "VMHUGE_INTEGRATION_LIBVIRTD=" + r.daemon, "SAMPLE=" + os.Getenv("SAMPLE"), "ROWS=" + rows, "MICROVM_KERNEL=" + microVMKernel},
		append([]string{built + "/integration.test", "-test.v=test2json", "-test.timeout=3h"}, flags...)...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, os.Stderr
	if *update {
		cmd.Stdout = io.MultiWriter(&said, os.Stdout)
	}
	err := cmd.Run()
	if err != nil && !*update {
		t.Log(said.String())
	}
	return parse(t, &said), err
}

// microVM is the folder of the micro-VM's kernel, which has none where no micro-VM runs.
func microVM(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(cache(t), "microvm-"+microVMKernel)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// version is that of a package, without Debian's part: 7.0.0 of 7.0.0-3+deb11u4.
func (c chroot) version(t *testing.T, pkg string) string {
	t.Helper()
	out, err := exec.Command("dpkg-query", "--root="+string(c)+"/root", "--show", "--showformat=${Version}", pkg).Output()
	if err != nil {
		t.Fatalf("the version of %s: %v", pkg, err)
	}
	version := string(out)[bytes.IndexByte(out, ':')+1:]
	return version[:strings.IndexAny(version+"-", "-+")]
}
