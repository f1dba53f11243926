package session

import (
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	got, err := parse("# T\n\ntext\n\n    $ sudo a \\\n        b\n    out\n\n    $ c\n\n## H\n\n    file\n    more\n- x\n\n    $ d\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []Block{
		{5, `sudo a \`, []Step{{"T", "sudo a \\\n    b", []string{"out"}}, {"T", "c", nil}}},
		{13, "file", nil},
		{17, "d", []Step{{"H", "d", nil}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := parse("```\nx\n```\n"); err == nil {
		t.Error("a fence is let through")
	}
}

func TestCheck(t *testing.T) {
	for name, row := range map[string]struct {
		shown  []string
		output string
		code   int
		fine   bool
	}{
		"the same":         {[]string{"web1: enabled"}, "web1: enabled\n", 0, true},
		"another word":     {[]string{"web1: enabled"}, "web1: disabled\n", 0, false},
		"another name":     {[]string{"web1: enabled"}, "web2: enabled\n", 0, false},
		"other numbers":    {[]string{"  all 4 GiB on 2048 pages (12 %)"}, "  all 1.5 MiB on 1 page (3.5 %)\n", 0, true},
		"number for word":  {[]string{"all 4 GiB"}, "all four GiB\n", 0, false},
		"columns":          {[]string{"a  b   c"}, "a b         c  \r\n", 0, true},
		"indentation":      {[]string{" a"}, "a\n", 0, false},
		"a UUID":           {[]string{"in 0b4e….xml"}, "in 7f2a-11.xml\n", 0, true},
		"rest of the line": {[]string{"pool: …"}, "pool: 0 of 0\n", 0, true},
		"some lines":       {[]string{"a", "…", "b"}, "a\nx\ny\n\nb\n", 0, true},
		"no lines":         {[]string{"a", "…", "b"}, "a\nb\n", 0, true},
		"a line too many":  {[]string{"a"}, "a\nb\n", 0, false},
		"a line too few":   {[]string{"a", "b"}, "a\n", 0, false},
		"nothing":          {nil, "", 0, true},
		"not nothing":      {nil, "a\n", 0, false},
		"failed":           {[]string{"a"}, "a\n", 1, false},
		"not ready":        {[]string{"web1: not ready (no-memory)"}, "web1: not ready (no-memory)\n", 4, true},
		"not ready, yet 0": {[]string{"web1: not ready (no-memory)"}, "web1: not ready (no-memory)\n", 0, false},
	} {
		if err := (Step{Output: row.shown}).Check(row.output, row.code); (err == nil) != row.fine {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestElsewhere holds the pages to the list: what is no command that can be run as
// it stands is in it, with a test that there is, and nothing else is.
func TestElsewhere(t *testing.T) {
	pages, err := Pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, page := range pages {
		used[page.Name] = true
		if Elsewhere[page.Name] != "" && len(page.Steps()) == 0 {
			continue // it has no commands at all
		}
		for _, block := range page.Blocks {
			if len(block.Steps) == 0 && Elsewhere[block.First] == "" {
				t.Errorf("%s:%d: no test runs %q: begin it with $, or name the test in elsewhere.go", page.Name, block.Line, block.First)
			}
			used[block.First] = true
			for _, step := range block.Steps {
				used[step.Command] = true
			}
		}
	}
	place := regexp.MustCompile(`^(\S+\.go)#(\w+)$`)
	for what, where := range Elsewhere {
		if !used[what] {
			t.Errorf("no page has %q any more", what)
		}
		at := place.FindStringSubmatch(where)
		if at == nil {
			t.Errorf("%q: %q is no file#Test", what, where)
			continue
		}
		source, err := os.ReadFile("../../" + at[1])
		if err != nil {
			t.Errorf("%q: %v", what, err)
		}
		if !regexp.MustCompile(`(?m)^func ` + at[2] + `\(t \*testing\.T\)`).Match(source) {
			t.Errorf("%q: %s has no %s", what, at[1], at[2])
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("web1: all 4 GiB, 2048 pages\n…\n0b4e….xml", "web1: all 1 GiB, 1 page\n\nx.xml\n")
	f.Fuzz(func(t *testing.T, shown, output string) {
		_ = Step{Output: []string{shown}}.Check(output, 0)
		if _, err := parse(shown); err == nil {
			_, _ = parse(output)
		}
	})
}
