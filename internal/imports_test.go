// Package internal_test holds the rooms to their doors: who may import whom.
package internal_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// forbidden lists, for each room, what must not be among all that it imports,
// directly or not. .golangci.yml has the finer rules for direct imports.
var forbidden = map[string][]string{
	"vmhuge/cmd/vmhuge":        {"vmhuge/docs", "github.com/santhosh-tekuri"}, // tests' alone
	"vmhuge/cmd/vmhuge-hook":   {"vmhuge/launcher", "libvirt.org/go/libvirt", "github.com"},
	"vmhuge/launcher":          {"vmhuge/cmd", "github.com/urfave/cli"},
	"vmhuge/hostprep/prepare":  {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/xml", "libvirt.org", "github.com"}, // imports most rooms below hostprep
	"vmhuge/hostprep/advise":   {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/xml", "libvirt.org", "github.com", "vmhuge/hostprep/journal"},
	"vmhuge/hostprep/slips":    {"vmhuge/hostprep/journal", "vmhuge/hostprep/hostpage", "vmhuge/hostprep/check", "vmhuge/hostprep/prepare"},
	"vmhuge/hostprep/check":    {"vmhuge/hostprep/prepare", "vmhuge/hostprep/hold", "vmhuge/hostprep/plan"},
	"vmhuge/hostprep/hostpage": {"vmhuge/hostprep/prepare", "vmhuge/hostprep/hold", "vmhuge/hostprep/plan"},
	"vmhuge/hostprep/audit":    {"vmhuge/hostprep/prepare", "vmhuge/hostprep/hold", "vmhuge/hostprep/plan"},
	"vmhuge/hostprep/probe":    {"vmhuge/hostprep/prepare", "vmhuge/hostprep/hold", "vmhuge/hostprep/plan"},
	"vmhuge/hostprep/plan":     {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/xml", "libvirt.org", "github.com", "vmhuge/hostprep/journal"},
	"vmhuge/hostprep/proof":    {"vmhuge/hostprep/journal", "vmhuge/hostprep/capacity"},
	"vmhuge/hostprep/collapse": {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/xml", "libvirt.org", "github.com", "vmhuge/hostprep/journal"},
	"vmhuge/hostprep/host":     {"vmhuge/hostprep/change", "vmhuge/hostprep/libvirtd"},
	"vmhuge/hostprep/ledger":   {"vmhuge/hostprep/host"},
	"vmhuge/hostprep/pool":     {"vmhuge/hostprep/host", "vmhuge/hostprep/lock", "vmhuge/hostprep/process"},
	"vmhuge/hostprep/lock":     {"vmhuge/hostprep/host", "vmhuge/hostprep/pool"},
	"vmhuge/xml":               {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "libvirt.org/go/libvirt", "golang.org", "github.com"},
	"vmhuge/qemu":              {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "vmhuge/internal/hostfs", "libvirt.org", "golang.org", "github.com"},
	"vmhuge/bench":             {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "libvirt.org", "github.com"},
	"vmhuge/lease":             {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/xml", "vmhuge/qemu", "libvirt.org", "github.com"},
	"vmhuge/supervise":         {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/xml", "libvirt.org", "github.com"},
	"vmhuge/metrics":           {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/xml", "libvirt.org"},
	"vmhuge/picture":           {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "vmhuge/internal/hostfs", "libvirt.org"},
	"vmhuge/top":               {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "vmhuge/internal/hostfs", "libvirt.org"},
	"vmhuge/live":              {"vmhuge/cmd", "vmhuge/qemu", "vmhuge/bench", "vmhuge/supervise", "github.com/urfave/cli"},
	"vmhuge/watch":             {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/xml", "libvirt.org"},
	"vmhuge/fleet":             {"vmhuge/cmd", "github.com/urfave/cli"},
	"vmhuge/explain":           {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "vmhuge/internal/hostfs", "libvirt.org", "golang.org", "github.com"},
	"vmhuge/internal/pages":    {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "libvirt.org", "golang.org", "github.com"},
	"vmhuge/internal/smaps":    {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "vmhuge/internal/hostfs", "libvirt.org", "golang.org", "github.com"},
	"vmhuge/internal/advice":   {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "libvirt.org", "golang.org", "github.com"},
	"vmhuge/internal/xmldiff":  {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "vmhuge/internal/hostfs", "libvirt.org", "golang.org"},
	"vmhuge/internal/nearest":  {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "libvirt.org", "golang.org", "github.com"},
	"vmhuge/internal/hostfs":   {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "libvirt.org", "golang.org", "github.com"},
}

// writers are the rooms that may import the journal themselves: whatever else
// imports it could change the host.
var writers = []string{"cmd/vmhuge", "cmd/vmhuge-hook", "hostprep/hook", "hostprep/prepare", "launcher"}

var update = flag.Bool("update", false, "write the table of rooms in ARCHITECTURE.md anew")

// Each room has a line in ARCHITECTURE.md, with the rooms that it imports.
func TestRooms(t *testing.T) {
	const page = "../ARCHITECTURE.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	imports := map[string][]string{}
	for room, paths := range goList(t) {
		room = strings.TrimPrefix(room, "vmhuge/")
		imports[room] = []string{}
		for _, path := range paths {
			if other, ours := strings.CutPrefix(path, "vmhuge/"); ours {
				imports[room] = append(imports[room], other)
				if other == "hostprep/journal" && !slices.Contains(writers, room) {
					t.Errorf("%s imports %s, and so could change the host", room, other)
				}
			}
		}
	}
	lines := strings.Split(string(text), "\n")
	listed := map[string]bool{}
	for i, line := range lines {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.HasPrefix(cells[1], " `") {
			continue
		}
		room := strings.Trim(cells[1], " `")
		listed[room] = true
		talksTo := slices.DeleteFunc(slices.Clone(imports[room]), func(other string) bool { return strings.HasPrefix(other, "internal/") })
		want := " – "
		if len(talksTo) > 0 {
			want = " " + strings.Join(talksTo, ", ") + " "
		}
		if _, isPackage := imports[room]; isPackage && cells[3] != want {
			lines[i] = fmt.Sprintf("|%s|%s|%s|", cells[1], cells[2], want)
			if !*update {
				t.Errorf("%s talks to%s, and ARCHITECTURE.md has%s; go test ./internal -run TestRooms -update", room, want, cells[3])
			}
		}
	}
	for room := range imports {
		if !listed[room] {
			t.Errorf("ARCHITECTURE.md has no line for %s", room)
		}
	}
	if *update {
		if err := os.WriteFile(page, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// goList is what each package of the program imports, tests aside; with -deps that of the modules
// that it needs as well.
func goList(t *testing.T, flags ...string) map[string][]string {
	t.Helper()
	const format = `{{if and (not .Standard) (or .GoFiles .CgoFiles)}}{{.ImportPath}} {{join .Imports " "}}{{end}}`
	out, err := exec.Command("go", slices.Concat([]string{"list"}, flags, []string{"-f", format, "vmhuge/..."})...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	imports := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		if words := strings.Fields(line); len(words) > 0 {
			imports[words[0]] = words[1:]
		}
	}
	return imports
}

func TestImports(t *testing.T) {
	imports := goList(t, "-deps")
	for room, doors := range forbidden {
		if imports[room] == nil {
			t.Errorf("there is no room %s", room)
		}
		seen := map[string]bool{room: true}
		for next := []string{room}; len(next) > 0; next = next[1:] {
			if slices.ContainsFunc(doors, func(door string) bool { return next[0] == door || strings.HasPrefix(next[0], door+"/") }) {
				t.Errorf("%s imports %s", room, next[0])
			}
			for _, dep := range imports[next[0]] {
				if !seen[dep] {
					seen[dep] = true
					next = append(next, dep)
				}
			}
		}
	}
}
