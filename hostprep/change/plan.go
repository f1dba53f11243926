package change

import (
	"path"

	"vmhuge/hostprep/host"
)

// FilePlan returns what makes a file have a text, with the folders that it
// lacks; "": not be there. A new file is root's, and all may read it; of one that
// is there owner and mode stay.
func FilePlan(h host.Host, file, text string) ([]Change, error) {
	state, dir := "", path.Dir(file)
	st, err := h.Lstat(dir)
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

// LinkPlan returns what makes a symbolic link, or takes it away where target is
// "", with the folders that it lacks.
func LinkPlan(h host.Host, file, target string) ([]Change, error) {
	state, dir := "", path.Dir(file)
	st, err := h.Lstat(dir)
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
