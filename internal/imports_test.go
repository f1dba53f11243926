// Package internal_test holds the rooms to their doors: who may import whom.
package internal_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// forbidden lists, for each room, what must not be among all that it imports,
// directly or not. .golangci.yml has the finer rules for direct imports.
var forbidden = map[string][]string{
	"vmhuge/cmd/vmhuge":       {"vmhuge/docs", "github.com/santhosh-tekuri"}, // tests' alone
	"vmhuge/cmd/vmhuge-hook":  {"vmhuge/launcher", "libvirt.org/go/libvirt", "github.com"},
	"vmhuge/launcher":         {"vmhuge/cmd", "github.com/urfave/cli"},
	"vmhuge/hostprep":         {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/xml", "libvirt.org", "github.com"},
	"vmhuge/hostprep/pool":    {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/xml", "libvirt.org", "github.com"},
	"vmhuge/xml":              {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "libvirt.org/go/libvirt", "golang.org", "github.com"},
	"vmhuge/qemu":             {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "vmhuge/internal/hostfs", "libvirt.org", "golang.org", "github.com"},
	"vmhuge/bench":            {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "libvirt.org", "github.com"},
	"vmhuge/lease":            {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/xml", "vmhuge/qemu", "libvirt.org", "github.com"},
	"vmhuge/supervise":        {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/xml", "libvirt.org", "github.com"},
	"vmhuge/metrics":          {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/xml", "libvirt.org"},
	"vmhuge/picture":          {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "vmhuge/internal/hostfs", "libvirt.org"},
	"vmhuge/top":              {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "vmhuge/internal/hostfs", "libvirt.org"},
	"vmhuge/live":             {"vmhuge/cmd", "vmhuge/qemu", "vmhuge/bench", "vmhuge/supervise", "github.com/urfave/cli"},
	"vmhuge/explain":          {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "vmhuge/internal/hostfs", "libvirt.org", "golang.org", "github.com"},
	"vmhuge/internal/pages":   {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "libvirt.org", "golang.org", "github.com"},
	"vmhuge/internal/smaps":   {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "vmhuge/internal/hostfs", "libvirt.org", "golang.org", "github.com"},
	"vmhuge/internal/advice":  {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "libvirt.org", "golang.org", "github.com"},
	"vmhuge/internal/xmldiff": {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "vmhuge/internal/hostfs", "libvirt.org", "golang.org"},
	"vmhuge/internal/nearest": {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "libvirt.org", "golang.org", "github.com"},
	"vmhuge/internal/hostfs":  {"vmhuge/cmd", "vmhuge/launcher", "vmhuge/hostprep", "vmhuge/xml", "libvirt.org", "golang.org", "github.com"},
}

func TestImports(t *testing.T) {
	for room, doors := range forbidden {
		out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", room).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", room, err)
		}
		for _, dep := range strings.Fields(string(out)) {
			if slices.ContainsFunc(doors, func(door string) bool { return dep == door || strings.HasPrefix(dep, door+"/") }) {
				t.Errorf("%s imports %s", room, dep)
			}
		}
	}
}
