// Package cmdline finds and edits the kernel's command line in a boot loader's file: text
// in, text out.
package cmdline

import (
	"fmt"
	"path"
	"slices"

	"vmhuge/internal/lazyregexp"
)

// File is a file of a boot loader's. One that is missing has no text.
type File struct {
	Path, Text string
	Own        bool // written by vmhuge alone
	Edited     bool // vmhuge puts its options on the command line in it
}

// Line is a kernel's command line, and the file that it comes from.
type Line struct{ File, Text string }

// form is how files of one name have the kernel's command line.
type form struct {
	is       func(name string) bool // without its folder
	patterns []*lazyregexp.Regexp   // its first group is the command line; the first that is there is edited
	example  string                 // of a line that the patterns find
	// line returns the command line that a file says, with the variables of grubenv; nil:
	// it says none by itself.
	line func(text string, variables map[string]string) (string, bool)
	// fit makes an edited text fit in the place of the former one; nil: each does.
	fit func(text, edited string) (string, error)
	// together says that all such files of a folder are edited as one.
	together bool
}

// forms are the files that vmhuge knows. The first counts that a file is, so entry, which is
// any other .conf, comes last.
var forms = []form{grubenv, grubDefaults, kernelInstall, entry}

func formOf(file string) (form, error) {
	i := slices.IndexFunc(forms, func(f form) bool { return f.is(path.Base(file)) })
	if i < 0 {
		return form{}, fmt.Errorf("%s is not a file of a boot loader that vmhuge knows", file)
	}
	return forms[i], nil
}

// last finds the first group of the last match, text[from:to].
func last(pattern *lazyregexp.Regexp, text string) (from, to int, ok bool) {
	all := pattern.Get().FindAllStringSubmatchIndex(text, -1)
	if len(all) == 0 {
		return 0, 0, false
	}
	m := all[len(all)-1]
	return m[2], m[3], true
}

// find finds the command line in a file's text, text[from:to]: the last one, whose words
// the kernel reads last.
func (f form) find(file, text string) (from, to int, err error) {
	for _, pattern := range f.patterns {
		if from, to, ok := last(pattern, text); ok {
			return from, to, nil
		}
	}
	return 0, 0, fmt.Errorf("%s has no line that vmhuge can add to, such as %s", file, f.example)
}

// Lines returns the command line of each file that has one by itself.
func Lines(files []File) []Line {
	var variables map[string]string
	for _, f := range files {
		if grubenv.is(path.Base(f.Path)) {
			variables = grubVariables(f.Text)
		}
	}
	var lines []Line
	for _, f := range files {
		if form, err := formOf(f.Path); err == nil && form.line != nil {
			if text, ok := form.line(f.Text, variables); ok {
				lines = append(lines, Line{f.Path, text})
			}
		}
	}
	return lines
}

// OursIn returns vmhuge's options in a boot loader's file.
func OursIn(file, text string) (string, error) {
	form, err := formOf(file)
	if err != nil {
		return "", err
	}
	from, to, err := form.find(file, text)
	return Ours(text[from:to]), err
}

// PutIn puts vmhuge's options on the command line in a boot loader's file; "": takes
// them out. All else of the file stays as it is.
func PutIn(file, text, ours string) (string, error) {
	form, err := formOf(file)
	if err != nil {
		return "", err
	}
	from, to, err := form.find(file, text)
	if err != nil {
		return "", err
	}
	edited := text[:from] + With(text[from:to], ours) + text[to:]
	if form.fit == nil {
		return edited, nil
	}
	edited, err = form.fit(text, edited)
	if err != nil {
		err = fmt.Errorf("%s can't take %s: %w", file, ours, err)
	}
	return edited, err
}
