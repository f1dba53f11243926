package integration

import (
	"slices"
	"testing"

	"vmhuge/docs/schema"
)

// TestJSON walks a guest through every command that answers in JSON; vmhuge
// holds each answer to its schema. exec and the filters have tests of their own.
func TestJSON(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	name := nameOf(t, define(t, guest{}))
	defer func() { _ = vmhuge(t, "hook", "remove") }()
	seen := []string{"exec", "xml-demand", "xml-disable", "xml-enable"}
	for _, line := range []struct {
		code int
		args []string
	}{
		{0, []string{"check"}},
		{0, []string{"advise", name}},
		{1, []string{"start", name}}, // it asks for no huge pages
		{0, []string{"enable", "--dry-run", name}},
		{0, []string{"enable", name}},
		{4, []string{"check", name}},
		{0, []string{"prepare", "--dry-run", name}},
		{1, []string{"prepare", "--dry-run", "nobody"}},
		{1, []string{"prepare", "--dry-run", name, "nobody"}},
		{4, []string{"check", name, "nobody"}},
		{0, []string{"plan", name}},
		{4, []string{"plan", name, "--host-reserve", "64T"}},
		{0, []string{"explain", "--domain", name, "--", "unable to map backing store for guest RAM: Cannot allocate memory"}},
		{4, []string{"start", "--dry-run", name}},
		{0, []string{"hook", "install", "--reload"}},
		{0, []string{"hook", "status"}},
		{0, []string{"start", "--dry-run", name}}, // the hook gets the pages
		{0, []string{"start", "--paused", name}},
		{0, []string{"check", name}},
		{0, []string{"verify", name}},
		{1, []string{"verify", name, "nobody"}},
		{3, []string{"memory", name, "+4G"}}, // without <maxMemory>
		{0, []string{"collapse", name}},      // on reserved pages already
		{1, []string{"collapse", name, "nobody"}},
		{0, []string{"uninstall", "--dry-run"}},
		{0, []string{"facts"}},
		{0, []string{"status"}},
		{1, []string{"status", "nobody"}},
		{0, []string{"bench", "--memory", "4M", "--seconds", "0.1"}},
		{0, []string{"stop", "--force", "--timeout", "0s", name}},
		{1, []string{"stop", name, "nobody"}},
		{0, []string{"status"}},
		{0, []string{"hook", "remove"}},
		{3, []string{"hook", "status"}},
		{0, []string{"undo"}},
		{0, []string{"disable", name}},
		{2, []string{"disable"}},
	} {
		r := vmhuge(t, append([]string{"--json"}, line.args...)...)
		if r.Code != line.code || r.Stderr != "" {
			t.Errorf("vmhuge %q: exit code %d, want %d\n%s%s", line.args, r.Code, line.code, r.Stdout, r.Stderr)
		}
		seen = append(seen, schema.Command(line.args))
	}
	for _, command := range schema.Commands() {
		if !slices.Contains(seen, command) {
			t.Errorf("%s is not among them", command)
		}
	}
}
