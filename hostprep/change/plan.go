package change

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
)

// FilePlan returns the changes that give a file a text, and make the folders that are
// missing; "": removes the file. A new file is root's, and everybody may read it; an
// existing one keeps its owner and mode.
func FilePlan(h host.Host, file, text string) ([]Change, error) {
	state, dir := "", path.Dir(file)
	st, err := realDir(h, dir)
	if err == nil && st != nil {
		state, err = Look(h, KindFile, file)
	}
	if err != nil || (state == "" && text == "") {
		return nil, err
	}
	change := Change{Kind: KindFile, Path: file, From: state}
	if text != "" {
		change.To = withText(state, text)
	}
	if change.From == change.To {
		return nil, nil
	}
	if text == "" {
		return []Change{change}, nil
	}
	changes, err := RootFolders(h, dir)
	return append(changes, change), err
}

// LinkPlan returns the changes that make a symbolic link, and the folders that are
// missing; target "": removes it.
func LinkPlan(h host.Host, file, target string) ([]Change, error) {
	state, dir := "", path.Dir(file)
	st, err := realDir(h, dir)
	if err == nil && st != nil {
		state, err = Look(h, KindLink, file)
	}
	if err != nil || state == target {
		return nil, err
	}
	change := Change{Kind: KindLink, Path: file, From: state, To: target}
	if target == "" {
		return []Change{change}, nil
	}
	changes, err := RootFolders(h, dir)
	return append(changes, change), err
}

// realDir describes a folder; nil: it is missing, as one above it may be. One of them that is
// no folder is a HeldError: where there is a link, some other tool manages what is behind it.
func realDir(h host.Host, dir string) (st *unix.Stat_t, err error) {
	at := ""
	for name := range strings.SplitSeq(strings.Trim(dir, "/"), "/") {
		at += "/" + name
		st, err = h.Lstat(at)
		if err != nil || st == nil {
			return st, err
		}
		if !host.IsDir(st) {
			return nil, HeldError(at + " is a symbolic link, or not a folder")
		}
	}
	return st, nil
}
