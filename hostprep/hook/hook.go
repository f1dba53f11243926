// Package hook puts libvirt's hook in place, tells the daemon, takes it away, and reads
// its log.
package hook

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/journal"
	"vmhuge/internal/advice"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/versions"
)

// hookProgram is what the hook's binary is called where it waits to be
// installed, and hookPackage what Go writes into it.
const (
	hookProgram = "vmhuge-hook"
	hookPackage = "vmhuge/cmd/vmhuge-hook"
)

// Journal is the record of what the hook's installation changed.
func Journal(h host.Host) journal.Journal { return journal.Journal{Host: h, Name: journal.OfHook} }

// Program finds the binary that is to be installed: beside this program, or where a package
// puts it, for programs that nobody calls by name. libexec comes first: while an .rpm that uses it
// replaces one that used lib, both copies exist, and the new one is meant.
func Program(h host.Host) (string, error) {
	var tried []string
	try := func(name string) {
		if !slices.Contains(tried, name) {
			tried = append(tried, name)
		}
	}
	if self, err := os.Executable(); err == nil {
		if self, err = filepath.EvalSymlinks(self); err == nil {
			bin := filepath.Dir(self)
			try(filepath.Join(bin, hookProgram))
			try(filepath.Join(bin, "../libexec/vmhuge", hookProgram))
			try(filepath.Join(bin, "../lib/vmhuge", hookProgram))
		}
	}
	try(h.Root.Path("usr/libexec/vmhuge", hookProgram))
	try(h.Root.Path("usr/lib/vmhuge", hookProgram))
	for _, program := range tried {
		if st, err := os.Stat(program); err == nil && st.Mode().IsRegular() {
			return program, nil
		}
	}
	return "", advice.New("finding "+hookProgram, "not found: looked for "+strings.Join(tried, ", "),
		"build it with ./just build, or put it beside vmhuge")
}

// place is the hook, or the place where it would be.
type place struct {
	Path  string // on the host, without symbolic links
	state string // what a Change of it finds; "": it is not there
	Ours  bool
	// linked says that NixOS's configuration has it: it is no copy, and not for us to change.
	linked bool
	// program is the binary that this vmhuge would install, and sum its hash, which takes
	// reading some MiB: it is computed where there is something to compare it with.
	program string
	sum     func() (string, error)
}

// dirs returns libvirt's folder of hooks, and in it that of QEMU's, without
// symbolic links. Neither need be there.
func dirs(h host.Host) (hooks, qemu string) {
	hooks = h.Resolve(h.Resolve(h.Root.Libvirt().ConfDir()) + "/hooks")
	return hooks, h.Resolve(hooks + "/qemu.d")
}

// Find looks at where the hook is. Where it is not, it says where it goes
// for this libvirt; 0: not known, and taken for a new one.
func Find(h host.Host, libvirt uint32) (place, error) {
	return host.Once(h, cacheKey(fmt.Sprint("hook for ", libvirt)), func() (place, error) { return lookForHook(h, libvirt) })
}

func lookForHook(h host.Host, libvirt uint32) (place, error) {
	hooks, qemu := dirs(h)
	record, err := Journal(h).Changes()
	if err != nil && !errors.Is(err, fs.ErrPermission) { // who is not root may still look
		return place{}, err
	}
	sum := func() (string, error) { return "", nil }
	program, err := Program(h)
	if err == nil {
		sum = sync.OnceValues(func() (string, error) { return change.HashFile(program) })
	}
	places := []string{qemu + "/90-vmhuge", hooks + "/qemu"}
	if versions.HookFolder.LackedBy(libvirt, 0) {
		slices.Reverse(places)
	}
	var found []place
	for _, at := range places {
		file := place{Path: at, program: program, sum: sum}
		if err := lookAtHook(h, &file, record); err != nil {
			return place{}, fmt.Errorf("%s: %w", at, err)
		}
		if file.Ours {
			return file, nil
		}
		found = append(found, file)
	}
	return found[0], nil
}

func lookAtHook(h host.Host, file *place, record []change.Change) (err error) {
	file.state, err = change.Look(h, change.KindCopy, file.Path)
	irregular := host.IrregularError("")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.As(err, &irregular):
		file.state = irregular.Error()
		if link, err := linkOnNixOS(h, file.Path); err != nil || link != "" {
			file.state, file.Ours, file.linked = link, true, true
			return err
		}
		return nil
	case err != nil || file.state == "":
		return err
	}
	sum, ours := sumOf(file.state), ""
	if ours, err = file.sum(); err != nil {
		return err
	}
	file.Ours = sum == ours || isHookProgram(h, file.Path) || slices.ContainsFunc(record, func(c change.Change) bool {
		return c.Kind == change.KindCopy && c.Path == file.Path && sumOf(c.To) == sum
	})
	return nil
}

// sumOf returns the hash in the state of a copy.
func sumOf(state string) string { return state[strings.LastIndex(state, " ")+1:] }

// isHookProgram says whether a file is a vmhuge-hook of any version: Go writes the path of its
// package into each program, as "go version -m" shows. debug/buildinfo reads that too, but at
// each start of each guest the hook would pay for the tables of the five formats that it knows.
func isHookProgram(h host.Host, file string) bool {
	program, err := os.ReadFile(h.Root.Path(file))
	return err == nil && bytes.Contains(program, fmt.Appendf(nil, "path\t%s\nmod\tvmhuge\t", hookPackage))
}

// Options is how the hook shall be installed.
type Options struct {
	Settings Settings
	Libvirt  uint32 // its version as it counts: 9000000 is 9.0.0; 0: not known
}

const installing = "installing the hook"

// Plan says what must change for the hook to be installed and as this
// vmhuge has it. No change: it is.
func Plan(h host.Host, o Options) (changes []change.Change, err error) {
	conf := h.Root.Libvirt().ConfDir()
	if st, err := h.Lstat(conf); err != nil || st == nil {
		return nil, cmp.Or(err, error(advice.New(installing, "there is no "+conf+": libvirt is not installed here", "install it first")))
	}
	file, err := Find(h, o.Libvirt)
	switch {
	case err != nil:
		return nil, advice.About(err, installing)
	case file.program == "":
		_, err := Program(h)
		return nil, advice.About(err, installing)
	case file.state != "" && !file.Ours:
		return nil, taken(file)
	}
	if nixOS, err := h.NixOS(); err != nil || nixOS {
		return nil, cmp.Or(err, planOnNixOS(h, file, o.Settings))
	}
	if have, _, do := tooNarrow(h); have != "" {
		return nil, advice.New(installing, have, do)
	}
	denied, err := Forbidden(h, file.Path)
	if err != nil {
		return nil, advice.Wrap(err, installing+": asking SELinux whether libvirt could run it", advice.Refused(os.Geteuid()))
	}
	if denied != nil {
		return nil, advice.New(installing, denied.Have, denied.Do)
	}
	if changes, err = change.RootFolders(h, path.Dir(file.Path)); err != nil {
		return nil, advice.About(err, installing)
	}
	settings, err := settingsPlan(h, o.Settings)
	if err != nil {
		return nil, advice.About(err, installing)
	}
	changes = append(changes, settings...)
	where, err := wherePlan(h, changes)
	if err != nil {
		return nil, advice.About(err, installing)
	}
	changes = append(changes, where...)
	// Last, for nothing after it can fail and take it away again.
	sum, err := file.sum()
	if err != nil {
		return nil, advice.About(err, installing)
	}
	if want := "0755 0:0 " + sum; file.state != want {
		changes = append(changes, change.Change{Kind: change.KindCopy, Path: file.Path, From: file.state, To: want, Source: file.program})
	}
	return changes, nil
}

// taken is the error of a place that holds another program.
func taken(file place) error {
	if path.Base(file.Path) == "qemu" {
		return advice.New(installing, file.Path+" is another program, and libvirt before 6.5 runs only that one",
			"make it pass its arguments and standard input to a copy of "+file.program+", or update libvirt")
	}
	return advice.New(installing, file.Path+" exists and is not vmhuge's", "move it out of that folder, where libvirt runs every file")
}

// settingsPlan returns what makes the settings these.
func settingsPlan(h host.Host, want Settings) ([]change.Change, error) {
	now, err := ReadSettings(h)
	if err != nil {
		return nil, advice.Wrap(err, "its settings", "fix or remove that file")
	}
	if now == want {
		return nil, nil
	}
	file := "/" + path.Join(hookSettings...)
	var changes []change.Change
	dir, err := change.Look(h, change.KindMkdir, path.Dir(file))
	if err == nil && dir == "" {
		changes = append(changes, change.Change{Kind: change.KindMkdir, Path: path.Dir(file), To: "0755 0:0"})
	}
	state := ""
	if err == nil && dir != "" {
		state, err = change.Look(h, change.KindFile, file)
	}
	if err != nil {
		return nil, err
	}
	if want != (Settings{}) {
		return append(changes, change.Change{Kind: change.KindFile, Path: file, From: state, To: want.state()}), nil
	}
	changes = append(changes, change.Change{Kind: change.KindFile, Path: file, From: state})
	made := change.Change{Kind: change.KindMkdir, Path: path.Dir(file), To: dir}
	record, err := Journal(h).Changes()
	if err != nil || !slices.Contains(record, made) {
		return changes, err
	}
	if other, err := holdsOther(h, made.Path, changes); err != nil || other {
		return changes, err
	}
	return append(changes, made.Reverse()), nil
}

// wherePlan returns what makes the setting of libvirt's directories say what this process goes
// by, for the hook does not look for them. before are the changes that come first.
func wherePlan(h host.Host, before []change.Change) (changes []change.Change, err error) {
	want := h.Root.Libvirt()
	now, _, err := h.Root.LibvirtSetting()
	if err != nil || now == want {
		return nil, err
	}
	file := change.Change{Kind: change.KindFile, Path: hostfs.LibvirtFile}
	dir, err := change.Look(h, change.KindMkdir, path.Dir(file.Path))
	made := change.Change{Kind: change.KindMkdir, Path: path.Dir(file.Path), To: "0755 0:0"}
	switch {
	case err == nil && dir == "" && !slices.Contains(before, made):
		changes = append(changes, made)
	case err == nil && dir != "":
		file.From, err = change.Look(h, change.KindFile, file.Path)
	}
	if want != hostfs.UsualLibvirt {
		text, _ := json.Marshal(want) // strings: it can't fail
		file.To = "0644 0:0\n" + string(text) + "\n"
	}
	return append(changes, file), err
}

// holdsOther says whether a folder will not be empty after the changes.
func holdsOther(h host.Host, dir string, changes []change.Change) (bool, error) {
	entries, err := os.ReadDir(h.Root.Path(dir))
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return !slices.ContainsFunc(changes, func(c change.Change) bool { return c.Path == path.Join(dir, e.Name()) && c.To == "" })
	}), err
}
