// Package session reads the commands in README.md and docs/, and what they are
// said to print, so that tests can run them. Only tests use it.
package session

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Page is a text with commands in it.
type Page struct {
	Name   string // docs/laptop.md
	Blocks []Block
}

// Block is what is indented in a page between two paragraphs.
type Block struct {
	Line  int
	First string // its first line, without prompt and comment
	Steps []Step // none: it is a file, or what somebody types elsewhere
}

// Step is a command after a "$ ", and what is shown below it.
type Step struct {
	Heading string // the section it stands in
	Command string
	Output  []string
}

// Pages reads README.md and docs/*.md below root.
func Pages(root string) ([]Page, error) {
	names, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		return nil, err
	}
	var pages []Page
	for _, path := range append([]string{filepath.Join(root, "README.md")}, names...) {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return nil, err
		}
		blocks, err := parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s:%w", name, err)
		}
		pages = append(pages, Page{name, blocks})
	}
	return pages, nil
}

// Steps returns what a test of the page has to run, in order.
func (p Page) Steps() (steps []Step) {
	for _, block := range p.Blocks {
		for _, step := range block.Steps {
			if Elsewhere[step.Command] == "" {
				steps = append(steps, step)
			}
		}
	}
	return steps
}

// parse finds the blocks of a page:
//
//	## Transparent huge pages
//
//	    $ sudo vmhuge start web1
//	    web1: running, all 4 GiB of its RAM on huge pages
func parse(text string) (blocks []Block, err error) {
	const indent = "    "
	heading, open := "", false
	for i, line := range strings.Split(text, "\n") {
		switch code, indented := strings.CutPrefix(line, indent); {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			return nil, fmt.Errorf("%d: a fence; blocks are indented here", i+1)
		case strings.TrimSpace(line) == "":
		case !indented:
			open = false
			if strings.HasPrefix(line, "#") {
				heading = strings.TrimLeft(line, "# ")
			}
		default:
			command, prompt := strings.CutPrefix(code, "$ ")
			if !open {
				first, _, _ := strings.Cut(command, "  # ")
				blocks = append(blocks, Block{Line: i + 1, First: strings.TrimSpace(first)})
				open = true
			}
			block := &blocks[len(blocks)-1]
			switch n := len(block.Steps); {
			case prompt:
				block.Steps = append(block.Steps, Step{Heading: heading, Command: command})
			case n > 0 && len(block.Steps[n-1].Output) == 0 && strings.HasSuffix(block.Steps[n-1].Command, `\`):
				block.Steps[n-1].Command += "\n" + code
			case n > 0:
				block.Steps[n-1].Output = append(block.Steps[n-1].Output, code)
			}
		}
	}
	return blocks, nil
}

// Code returns the exit code that goes with what is shown, by the README's list.
func (s Step) Code() int {
	for _, line := range s.Output {
		switch {
		case strings.Contains(line, ": not ready (no-memory)"), strings.Contains(line, "not all of them fit"):
			return 4
		case strings.Contains(line, ": not ready ("), strings.HasPrefix(line, "blocker "):
			return 3
		case strings.HasPrefix(line, "error: "):
			return 1
		}
	}
	return 0
}

// Check says what about a run of the command is not as the page shows it. Numbers
// and sizes may be others, spaces more or fewer; a … stands for the rest of a line
// or for a part of it, and alone on a line for any lines.
func (s Step) Check(output string, code int) error {
	var err error
	if want := s.Code(); code != want {
		err = fmt.Errorf("exit code %d, not %d", code, want)
	}
	if !s.pattern().MatchString(strings.Join(append(squeeze(output), ""), "\n")) {
		err = errors.Join(err, fmt.Errorf("it prints\n%s\nwhere the page has\n%s", output, strings.Join(s.Output, "\n")))
	}
	return err
}

var (
	spaces = regexp.MustCompile(`(\S) +`)
	// What differs from host to host: the first digits of a UUID, sizes, numbers.
	varying = regexp.MustCompile(`\b[0-9a-f]+…|…|\b\d+(\.\d+)? [KMGT]iB\b|\b\d+(\.\d+)?( pages?\b)?`)
)

// squeeze makes columns narrow, and leaves out empty lines.
func squeeze(text string) (lines []string) {
	for line := range strings.SplitSeq(strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\r", ""), "\n") {
		if line = strings.TrimRight(spaces.ReplaceAllString(line, "$1 "), " "); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// pattern matches what Check allows for.
func (s Step) pattern() *regexp.Regexp {
	var pattern strings.Builder
	pattern.WriteString(`^`)
	for _, line := range squeeze(strings.Join(s.Output, "\n")) {
		if strings.TrimSpace(line) == "…" {
			pattern.WriteString(`(?:.*\n)*?`)
			continue
		}
		end := 0
		for _, at := range varying.FindAllStringIndex(line, -1) {
			pattern.WriteString(regexp.QuoteMeta(line[end:at[0]]))
			end = at[1]
			switch text := line[at[0]:at[1]]; {
			case strings.HasSuffix(text, "…"):
				pattern.WriteString(`.*`)
			case strings.HasSuffix(text, "iB"):
				pattern.WriteString(`\d+(?:\.\d+)? [KMGT]iB`)
			case strings.Contains(text, " page"):
				pattern.WriteString(`\d+ pages?`)
			default:
				pattern.WriteString(`\d+(?:\.\d+)?`)
			}
		}
		pattern.WriteString(regexp.QuoteMeta(line[end:]) + `\n`)
	}
	return regexp.MustCompile(pattern.String() + `$`)
}
