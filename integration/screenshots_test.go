//go:build screenshots

package integration

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestScreenshots makes the pictures in docs/ anew: a real terminal on a screen
// that nobody sees, with real guests. just screenshots runs it.
func TestScreenshots(t *testing.T) {
	docs := os.Getenv("SCREENSHOTS")
	if docs == "" {
		t.Fatal("SCREENSHOTS names no folder; run: sudo ./just screenshots")
	}
	t.Setenv("LC_ALL", "C.UTF-8")
	t.Setenv("PATH", filepath.Join(scratch, "bin")+":"+os.Getenv("PATH"))
	t.Setenv("DISPLAY", display(t))
	hostAsBefore(t)
	setPages(t, 0, size2M, 128)
	setPages(t, 0, size1G, 0)
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
		{guest{name: "web1", memory: "<memory unit='MiB'>768</memory>", backing: pages2M}, "", true},
		{guest{name: "web2", memory: "<memory unit='MiB'>768</memory>", backing: pages2M}, "", true},
		{guest{name: "db1", memory: "<memory unit='GiB'>1</memory>", backing: pages1G}, "", true},
		{guest{name: "cache1", memory: "<memory unit='MiB'>512</memory>"}, "--thp", false},
		{guest{name: "mail1", memory: "<memory unit='MiB'>1536</memory>", backing: pages2M}, "", false},
		{guest{name: "build1", memory: "<memory unit='MiB'>256</memory>"}, "", true},
		{guest{name: "legacy1", memory: "<memory unit='MiB'>256</memory>"}, "", true},
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

	shoot(t, filepath.Join(docs, "status.png"), "100x20", "vmhuge status")
	shoot(t, filepath.Join(docs, "top.png"), "100x24", "vmhuge top")
	shoot(t, filepath.Join(docs, "bench.png"), "100x7", "vmhuge bench --memory 512M")
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
// for three seconds.
func shoot(t *testing.T, path, geometry, command string) {
	t.Helper()
	over := filepath.Join(t.TempDir(), "over")
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
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if _, err := os.Stat(over); err == nil || command == "vmhuge top" && time.Until(deadline) < 55*time.Second {
			break
		}
	}
	time.Sleep(time.Second) // for the terminal to draw
	if out, err := exec.Command("import", "-window", "vmhuge", "-colors", "64", "PNG8:"+path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 100<<10 {
		t.Errorf("%s: %v, %v", path, info, err)
	}
}
