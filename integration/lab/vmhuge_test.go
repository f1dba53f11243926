package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"vmhuge/docs/schema"
	"vmhuge/launcher"
)

// programsDir is where the programs are, once a test has asked for one.
var programsDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "vmhuge-lab-programs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programsDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// buildPrograms builds both, once for all tests: vmhuge against this machine's libvirt, or,
// where the lab's may be older, that of Debian 11; and the hook as it is installed, static.
var buildPrograms = sync.OnceValue(func() error {
	for name, env := range map[string]string{"vmhuge": "CGO_ENABLED=1", "vmhuge-hook": "CGO_ENABLED=0"} {
		command := []string{"go", "build", "-tags", "urfave_cli_no_docs", "-buildvcs=false", "-o", programsDir, "./cmd/" + name}
		if suite() == "bullseye" {
			command = append([]string{"packaging/oldest", programsDir}, command...)
		}
		build := exec.Command(command[0], command[1:]...)
		build.Dir = "../.."
		build.Env = append(build.Environ(), env)
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
	}
	return nil
})

func (l *lab) program(name string) string {
	l.t.Helper()
	if err := buildPrograms(); err != nil {
		l.t.Fatal(err)
	}
	return filepath.Join(programsDir, name)
}

// putVmhuge puts vmhuge into the lab, where it runs with the lab's libvirt.
func (l *lab) putVmhuge() {
	l.t.Helper()
	l.Put(l.program("vmhuge"), "/usr/local/bin/vmhuge")
}

// define makes a guest known to the lab's libvirt: no huge pages, and a firmware that
// halts the processor at once. One that boots takes half of the lab's time from the test.
func (l *lab) define(name string) {
	l.t.Helper()
	const hlt = "\xf4" // with interrupts off, as they are at first
	firmware := filepath.Join(l.dir, "halts.rom")
	if err := os.WriteFile(firmware, []byte(strings.Repeat(hlt, 64<<10)), 0o644); err != nil {
		l.t.Fatal(err)
	}
	l.Put(firmware, "/var/lib/libvirt/boot/halts.rom")
	l.defineGuest(name, "<loader type='rom'>/var/lib/libvirt/boot/halts.rom</loader>")
}

// defineBooting is define with the demo's kernel, and the least memory in which that
// comes up, which takes a minute.
func (l *lab) defineBooting(name string) {
	l.t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		l.t.Fatal(err)
	}
	cache = filepath.Join(cache, "vmhuge", "guest")
	if out, err := exec.Command("../../examples/guest", cache).CombinedOutput(); err != nil {
		l.t.Fatalf("building the guest: %v\n%s", err, out)
	}
	for _, file := range []string{"vmlinuz", "initrd.gz"} {
		l.Put(filepath.Join(cache, file), "/var/lib/libvirt/boot/"+file)
	}
	l.defineGuest(name, `<kernel>/var/lib/libvirt/boot/vmlinuz</kernel>
    <initrd>/var/lib/libvirt/boot/initrd.gz</initrd>
    <cmdline>console=ttyS0 quiet no_timer_check mitigations=off</cmdline>`)
}

func (l *lab) defineGuest(name, boot string) {
	l.t.Helper()
	l.Must(fmt.Sprintf(`virsh -q define /dev/stdin <<'XML'
<domain type='qemu'>
  <name>%s</name>
  <memory unit='MiB'>96</memory>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    %s
  </os>
  <features><acpi/></features>
  <devices>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='file'><source path='/var/log/libvirt/%[1]s.console'/></serial>
  </devices>
</domain>
XML`, name, boot))
}

// report runs vmhuge with --json for one domain, wants it to succeed, and
// returns what it says.
func (l *lab) report(line string) launcher.Report {
	l.t.Helper()
	return l.reportOf(0, line)
}

// reportOf wants another exit code.
func (l *lab) reportOf(wantCode int, line string) launcher.Report {
	l.t.Helper()
	r := l.Run(line + " --json")
	if r.Code != wantCode {
		l.t.Fatalf("in the lab: %s: exit code %d, want %d\n%s%s", line, r.Code, wantCode, r.Stdout, r.Stderr)
	}
	if err := schema.CheckRun(append(strings.Fields(line), "--json")[1:], r.Code, r.Stdout, r.Stderr); err != nil {
		l.t.Error(err)
	}
	var answer struct{ Domains []launcher.Report }
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil || len(answer.Domains) != 1 {
		l.t.Fatalf("%s: %v\n%s", line, err, r.Stdout)
	}
	return answer.Domains[0]
}
