package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// screen is a terminal of tmux's.
type screen struct {
	t   *testing.T
	dir string
}

// onScreen runs a shell script on a terminal of 80 by 24; vmhuge is in its PATH.
func onScreen(t *testing.T, script string) *screen {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Fatal("no tmux here; run: sudo ./just deps-test")
	}
	s := &screen{t, t.TempDir()}
	t.Setenv("LC_ALL", "C.UTF-8")
	t.Setenv("PATH", filepath.Join(scratch, "bin")+":"+os.Getenv("PATH"))
	t.Setenv("TERM", "xterm") // for tmux itself; inside, tmux sets its own
	s.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "-c", s.dir, script)
	t.Cleanup(func() { _ = s.command("kill-server").Run() })
	return s
}

func (s *screen) command(args ...string) *exec.Cmd {
	return exec.Command("tmux", append([]string{"-u", "-S", filepath.Join(s.dir, "tmux")}, args...)...)
}

func (s *screen) tmux(args ...string) string {
	s.t.Helper()
	out, err := s.command(args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %q: %v\n%s", args, err, out)
	}
	return strings.TrimRight(string(out), "\n")
}

func (s *screen) press(keys ...string) {
	s.t.Helper()
	s.tmux(append([]string{"send-keys"}, keys...)...)
}

func (s *screen) text() string { return s.tmux("capture-pane", "-p") }

// shows waits until all these words are on the screen.
func (s *screen) shows(words ...string) string {
	s.t.Helper()
	deadline := time.Now().Add(hangs)
	for {
		text, missing := s.text(), ""
		for _, word := range words {
			if !strings.Contains(text, word) {
				missing = word
			}
		}
		if missing == "" {
			return text
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("waited %s for %q on the screen:\n%s", hangs, missing, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// topScript tells on the terminal's first screen how top ended and whether the
// terminal is as before, and waits.
const topScript = `
echo first screen; stty -g >before
sh -c 'echo $$ >pid; exec vmhuge top --interval 200ms'; code=$?
stty -g >after; cmp before after && echo "ended with $code, terminal as before"
exec cat`

// over waits until top has ended well, and looks at the terminal.
func (s *screen) over() {
	s.t.Helper()
	s.shows("first screen", "ended with 0, terminal as before")
	if state := s.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag} #{keypad_flag} #{mouse_any_flag}"); state != "0 1 0 0" {
		s.t.Errorf("alternate screen, cursor, keypad, mouse: %s", state)
	}
}

func (s *screen) pid() int {
	s.t.Helper()
	var pid int
	if err := readNumber(filepath.Join(s.dir, "pid"), &pid); err != nil {
		s.t.Fatal(err)
	}
	return pid
}

// TestTop drives the view by its keys: a guest is enabled, started and stopped.
func TestTop(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	dom := define(t, guest{name: guestPrefix + "top-b", memory: "<memory unit='MiB'>96</memory>", boots: true})
	define(t, guest{name: guestPrefix + "top-a", memory: "<memory unit='MiB'>128</memory>"})
	domain := nameOf(t, dom)

	s := onScreen(t, topScript)
	s.shows("vmhuge top", "top-a", "top-b", "shut off", "128 MiB", "small pages", "q quit")

	s.press("/", "-b", "Enter")
	text := s.shows("1 of 2")
	if strings.Contains(text, "top-a") {
		t.Errorf("the filter lets through:\n%s", text)
	}
	s.press("Enter")
	s.shows(domain, "its XML asks for no huge pages", "Esc back")
	s.press("Escape")
	s.shows("q quit") // Escape and a letter at once would be Alt and the letter

	s.press("e")
	s.shows("enable "+domain+"?", "+  <memoryBacking>", "y do it")
	s.press("n")
	s.shows("small pages")
	s.press("e")
	s.shows("y do it")
	s.press("y")
	s.shows(domain+": enabled", "2 MiB")

	s.press("s")
	s.shows("start "+domain+"?", "would: echo 48 > ", "nr_hugepages")
	s.press("y")
	s.shows(domain+": running, all 96 MiB of its RAM on huge pages", "100 %")
	if got := pagesOf(t, pidOf(t, dom)); got[size2M] != 48 {
		t.Errorf("it has %v", got)
	}

	s.press("c")
	s.shows("collapse "+domain+"?", "which need no collapse", "y do it")
	s.press("n")

	for _, size := range [][2]string{{"1", "1"}, {"30", "5"}, {"60", "10"}, {"200", "50"}, {"80", "24"}} {
		s.tmux("resize-window", "-x", size[0], "-y", size[1])
		if size[0] == "60" {
			s.shows("? help")
		}
	}
	s.shows("vmhuge top", domain, "100 %", "q quit")

	greeting(t, dom)
	s.press("x")
	s.shows("stop "+domain+"?", "asked to shut down")
	s.press("y")
	s.shows(domain + ": shut off")
	s.press("q")
	s.over()
	done(t, "disable", domain)
}

// TestTopEnds leaves the terminal as it was, whatever ends it.
func TestTopEnds(t *testing.T) {
	for name, end := range map[string]func(s *screen){
		"Ctrl-C":  func(s *screen) { s.press("C-c") },
		"SIGTERM": func(s *screen) { _ = unix.Kill(s.pid(), unix.SIGTERM) },
		"SIGHUP":  func(s *screen) { _ = unix.Kill(s.pid(), unix.SIGHUP) },
		"SIGINT":  func(s *screen) { _ = unix.Kill(s.pid(), unix.SIGINT) },
	} {
		t.Run(name, func(t *testing.T) {
			s := onScreen(t, topScript)
			s.shows("vmhuge top", "no guests")
			end(s)
			s.over()
		})
	}
}

// TestTopWithoutLibvirtd goes on while libvirtd is silent, and while it is gone.
func TestTopWithoutLibvirtd(t *testing.T) {
	hostAsBefore(t)
	define(t, guest{name: guestPrefix + "top-c"})
	s := onScreen(t, topScript)
	s.shows("top-c")

	if err := libvirtd.libvirtd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.shows("libvirt has not responded for")
	s.press("?")
	s.shows("choose a guest")
	s.press("Escape")
	if err := libvirtd.libvirtd.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "libvirt answers again", func() bool { return !strings.Contains(s.text(), "libvirt has not responded") })

	if err := libvirtd.stopLibvirtd(); err != nil {
		t.Fatal(err)
	}
	s.shows("connecting to qemu:///system: ", "top-c")
	if err := libvirtd.startLibvirtd(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "it has connected again", func() bool { return !strings.Contains(s.text(), "connecting") })
	s.shows("top-c")
	s.press("q")
	s.over()
}

// TestProgressShown tells on a terminal what a stop waits for, and takes that away.
func TestProgressShown(t *testing.T) {
	hostAsBefore(t)
	dom := define(t, guest{}) // it has nothing that would heed a shutdown
	start(t, dom)
	s := onScreen(t, `vmhuge stop --timeout 3s `+nameOf(t, dom)+`; echo "ended with $?"; exec cat`)
	s.shows("waiting for it to shut down, 1 s")
	if text := s.shows("ended with 1"); strings.Contains(text, "waiting for") {
		t.Errorf("it stays on the screen:\n%s", text)
	}
}

// TestStatusWatch redraws in place until Ctrl-C, which is no failure.
func TestStatusWatch(t *testing.T) {
	s := onScreen(t, `vmhuge status --watch; echo "ended with $?"; exec cat`)
	s.shows("NODE", "USED", "FREE", "hook ")
	first := s.text()
	waitUntil(t, "it is drawn again", func() bool {
		text := s.text()
		return text != first && strings.Count(text, "NODE") == 1
	})
	s.press("C-c")
	s.shows("ended with 0")
}
