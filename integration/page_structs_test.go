package integration

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"vmhuge/internal/pages"
)

// TestMicroVMPageStructs boots a kernel with a page of 1 GiB, and once more so that it frees
// the page structs: it has as much memory more as was foretold.
func TestMicroVMPageStructs(t *testing.T) {
	had := map[string]int64{}
	for _, free := range []string{"off", "on"} {
		had[free] = memTotal(t, "hugepagesz=1G hugepages=1 hugetlb_free_vmemmap="+free)
	}
	more, foretold := had["on"]-had["off"], pages.Size1GiB.Structs(small)/pages.KiB
	t.Logf("MemTotal is %d and %d KiB: %d more, and %d foretold", had["off"], had["on"], more, foretold)
	if more < foretold*99/100 || more > foretold*101/100 {
		t.Error("that is not within 1 %")
	}
}

var guestMemTotal = regexp.MustCompile(`guest is up, MemTotal: *([0-9]+) kB`)

// memTotal is the MemTotal, in KiB, of the demo's guest with 3 GiB on this command line.
func memTotal(t *testing.T, cmdline string) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max,erms=off,smap=off,smep=off,cx16=off", "-m", "3G", "-nodefaults", "-no-user-config",
		"-no-reboot", "-display", "none", "-serial", "stdio", "-kernel", filepath.Join(bootDir, "vmlinuz"), "-initrd", filepath.Join(bootDir, "initrd.gz"),
		"-append", "console=ttyS0 panic=-1 nokaslr no_timer_check "+cmdline)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	var said strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := out.Read(buffer)
		said.Write(buffer[:n])
		if m := guestMemTotal.FindStringSubmatch(said.String()); m != nil {
			kib, _ := strconv.ParseInt(m[1], 10, 64)
			return kib
		}
		if err != nil {
			t.Fatalf("%v: %s", err, said.String())
		}
	}
}
