package integration

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"vmhuge/docs/session"
)

// guides are the guests of the pages that this host runs. They have less memory
// than on the page: sizes and numbers are not compared.
var guides = map[string]guest{
	"README.md":           documented("web1"),
	"docs/ansible.md":     {},
	"docs/check.md":       {name: "web1", memory: "<memory unit='TiB'>1</memory>"},
	"docs/dpdk.md":        {},
	"docs/laptop.md":      documented("ubuntu"),
	"docs/passthrough.md": passedThrough(documented("gaming")),
	"docs/qemu.md":        {},
	"docs/questions.md":   documented("web1"),
	"docs/running.md":     documented("web1"),
	"docs/virtiofs.md":    sharing(documented("files1")),
}

// situations set up what a section takes for granted and the page has not done before it.
var situations = map[string]func(*testing.T){
	"Transparent or reserved pages": func(t *testing.T) { setTHP(t, "enabled", "never") },
	"When there is too little":      func(t *testing.T) { done(t, "enable", "web1") },
	"When a start fails": func(t *testing.T) {
		done(t, "hook", "remove")
		done(t, "enable", "web1")
	},
}

// documented is a guest that powers off when asked to.
func documented(name string) guest {
	return guest{name: name, memory: "<memory unit='MiB'>128</memory>", boots: true}
}

func passedThrough(g guest) guest {
	g.devices = "<hostdev mode='subsystem' type='pci' managed='yes'><source><address bus='1'/></source></hostdev>"
	return g
}

func sharing(g guest) guest {
	g.backing = "<source type='memfd'/><access mode='shared'/>"
	g.devices = "<filesystem type='mount'><driver type='virtiofs'/><source dir='/var/lib/libvirt/boot'/><target dir='boot'/></filesystem>"
	return g
}

// TestDocs runs every command of the pages, in order, and holds what it prints to
// what the page says. The host is as before at the end of each page.
func TestDocs(t *testing.T) {
	pages, err := session.Pages("..")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Join(scratch, "bin")+":"+os.Getenv("PATH"))
	t.Setenv("LC_ALL", "C.UTF-8")
	for _, page := range pages {
		steps := page.Steps()
		if len(steps) == 0 || session.Elsewhere[page.Name] != "" {
			continue
		}
		t.Run(page.Name, func(t *testing.T) {
			g, known := guides[page.Name]
			if !known {
				t.Fatal("no test has the guest of this page: name it in docs_test.go")
			}
			hostAsBefore(t)
			setPages(t, 0, size2M, 0)
			restartLibvirtd(t) // it looks for hooks only when it starts
			if g.name != "" {
				define(t, g)
				defer done(t, "disable", g.name)
			}
			defer done(t, "undo")
			defer done(t, "hook", "remove")
			heading, up := "", false
			for _, step := range steps {
				if prepare := situations[step.Heading]; prepare != nil && step.Heading != heading {
					prepare(t)
				}
				heading = step.Heading
				// Wait until the guest is up: before, it ignores the power button and
				// touches memory faster than it is collapsed. A guest resumed from a
				// saved state does not print that it is up again.
				if leaves := leaving.MatchString(step.Command); leaves && !up {
					greeting(t, lookup(t, g.name))
					up = true
				}
				out, code := shell(t, step.Command)
				t.Logf("$ %s\n%s", step.Command, out)
				if err := step.Check(out, code); err != nil {
					t.Errorf("%s: %s: %v", page.Name, step.Command, err)
				}
				if strings.Contains(step.Command, "vmhuge stop ") {
					up = false
					if err := os.Truncate(g.console(), 0); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

var leaving = regexp.MustCompile(`^(sudo vmhuge (stop|collapse)|virsh managedsave) `)

// shell runs what a page has behind the prompt: as root, in no need of sudo, with
// the hook that was built and not installed, and with guests that need no KVM.
func shell(t *testing.T, line string) (output string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", "sudo() { \"$@\"; }\n"+line)
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", line, err)
	}
	asShown := strings.NewReplacer(filepath.Join(scratch, "bin", "vmhuge-hook"), "/usr/lib/vmhuge/vmhuge-hook",
		"<domain type='qemu'>", "<domain type='kvm'>")
	return asShown.Replace(string(out)), cmd.ProcessState.ExitCode()
}
