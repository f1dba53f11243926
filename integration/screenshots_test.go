//go:build screenshots

package integration

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMicroVMScreenshots makes the pictures in docs/ anew: a real terminal, with real
// guests on a machine of two nodes. just screenshots runs it.
func TestMicroVMScreenshots(t *testing.T) {
	if !inMicroVM(t, machine{nodes: 2, nodeMiB: 3072}) {
		return
	}
	onDisplay(t)
	hostAsBefore(t)
	setPages(t, 0, size2M, 96)
	setPages(t, 1, size2M, 64)
	done(t, "hook", "install", "--reload")
	names := []string{"stop", "--force", "--timeout", "0s"}
	defer func() {
		done(t, names...)
		done(t, "disable", "cache1", "legacy1")
		done(t, "undo")
		done(t, "hook", "remove")
	}()

	for _, g := range []struct {
		guest
		enable string // once it runs
		starts bool
	}{
		{guest{name: "db1", memory: "<memory unit='GiB'>1</memory>", backing: pages1G, more: "<numatune><memory mode='strict' nodeset='1'/></numatune>"}, "", true},
		{guest{name: "web1", memory: "<memory unit='MiB'>384</memory>", backing: pages2M}, "", true},
		{guest{name: "web2", memory: "<memory unit='MiB'>256</memory>", backing: pages2M, more: "<numatune><memory mode='strict' nodeset='1'/></numatune>"}, "", true},
		{guest{name: "cache1", memory: "<memory unit='MiB'>256</memory>"}, "--thp", false},
		{guest{name: "mail1", memory: "<memory unit='GiB'>6</memory>", backing: pages2M}, "", false},
		{guest{name: "build1", memory: "<memory unit='MiB'>128</memory>"}, "", true},
		{guest{name: "legacy1", memory: "<memory unit='MiB'>128</memory>"}, "", true},
	} {
		dom := define(t, g.guest)
		names = append(names, g.name)
		if g.enable != "" {
			done(t, "enable", g.enable, g.name)
			done(t, "start", g.name)
		}
		if g.starts {
			start(t, dom)
		}
	}
	done(t, "enable", "legacy1") // it runs on what it has until its next start

	done(t, "prepare", "--pages", "252", "--size", "2M", "--node", "1")
	database, err := unix.Mmap(-1, 0, 20*huge, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_HUGETLB|unix.MAP_HUGE_2MB)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(database) }()

	fmt.Println(shoot(t, "status.png", "100x23", "vmhuge status"))
	fmt.Println(shoot(t, "check.png", "100x6", "vmhuge check mail1"))
	fmt.Println(shoot(t, "top.png", "100x27", "vmhuge top"))
}

// TestScreenshotOfBench measures on the machine at hand: a CPU that is emulated
// has no page tables to speak of.
func TestScreenshotOfBench(t *testing.T) {
	onDisplay(t)
	hostAsBefore(t)
	if saved, err := saveSent(shoot(t, "bench.png", "100x7", "vmhuge bench")); err != nil || !saved {
		t.Fatalf("%v; SAVE_SENT names the folder: sudo ./just screenshots", err)
	}
}

// onDisplay has the programs that are started draw on a screen that nobody sees.
func onDisplay(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	t.Setenv("PATH", filepath.Join(scratch, "bin")+":"+os.Getenv("PATH"))
	t.Setenv("DISPLAY", display(t))
}

// display starts an X server without a screen, and returns its name.
func display(t *testing.T) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "1600x1000x24", "-nolisten", "tcp")
	server.ExtraFiles = []*os.File{w}
	if err := server.Start(); err != nil {
		t.Fatalf("%v; run: sudo ./just screenshots", err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	w.Close()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return ":" + strings.TrimSpace(line)
}

// shoot runs a command on a terminal and takes its picture once it is done, or
// has run for a while.
func shoot(t *testing.T, name, geometry, command string) (line string) {
	t.Helper()
	dir := t.TempDir()
	path, over := filepath.Join(dir, name), filepath.Join(dir, "over")
	t.Setenv("OVER", over)
	args := []string{"-T", "vmhuge", "-geometry", geometry, "-fa", "DejaVu Sans Mono", "-fs", "11", "-b", "12", "+sb", "-bc", "-bg", "#1a1d23", "-fg", "#d8dbe2"}
	for i, colour := range []string{"#1a1d23", "#f07178", "#a3d977", "#f2c55c", "#6aa8f7", "#c792ea", "#5fc9d9", "#d8dbe2"} {
		args = append(args, "-xrm", "*color"+string(rune('0'+i))+": "+colour)
	}
	args = append(args, "-xrm", "*faintIsRelative: true", "-e", "bash", "-c", `printf '\e[?25l\e[32m#\e[0m %s\n' "$0"; `+command+`; touch "$OVER"; exec sleep 600`, command)
	term := exec.Command("xterm", args...)
	if err := term.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = term.Process.Kill(); _ = term.Wait() }()
	for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if _, err := os.Stat(over); err == nil {
			break
		}
	}
	time.Sleep(3 * time.Second) // for the terminal to draw
	if out, err := exec.Command("import", "-window", "vmhuge", "-colors", "64", "PNG8:"+path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	picture, err := os.ReadFile(path)
	if err != nil || len(picture) > 100<<10 {
		t.Errorf("%s: %d bytes, %v", name, len(picture), err)
	}
	return sent(name, picture)
}
