package hostprep

import (
	"cmp"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"vmhuge/internal/advice"
)

// hookProgram is what the hook's binary is called where it waits to be
// installed, and hookPackage what Go writes into it.
const (
	hookProgram = "vmhuge-hook"
	hookPackage = "vmhuge/cmd/vmhuge-hook"
)

// HookJournal is the record of what the hook's installation changed.
func (h Host) HookJournal() Journal { return Journal{Host: h, Name: "hook.json"} }

// HookProgram finds the binary that is to be installed: beside this program,
// or where a package puts it.
func (h Host) HookProgram() (string, error) {
	var tried []string
	if self, err := os.Executable(); err == nil {
		if self, err = filepath.EvalSymlinks(self); err == nil {
			tried = append(tried, filepath.Join(filepath.Dir(self), hookProgram))
		}
	}
	for _, dir := range []string{"lib", "libexec"} {
		tried = append(tried, h.Root.Path("usr", dir, "vmhuge", hookProgram))
	}
	for _, program := range tried {
		if st, err := os.Stat(program); err == nil && st.Mode().IsRegular() {
			return program, nil
		}
	}
	return "", advice.New("finding "+hookProgram, "there is none: looked for "+strings.Join(tried, ", "),
		"build it with ./just build, or put it beside vmhuge")
}

// hookFile is the hook, or the place where it would be.
type hookFile struct {
	path  string // on the host, without symbolic links
	state string // what a Change of it finds; "": it is not there
	ours  bool
	// program is the binary that this vmhuge would install, and sum its hash.
	program, sum string
}

// hookDirs returns libvirt's folder of hooks, and in it that of QEMU's, without
// symbolic links. Neither need be there.
func (h Host) hookDirs() (hooks, qemu string) {
	hooks = h.resolve(h.resolve("/etc/libvirt") + "/hooks")
	return hooks, h.resolve(hooks + "/qemu.d")
}

// hookSince is the first libvirt that runs the files of hooks/qemu.d, as
// libvirt counts.
const hookSince = 6005000

// findHook looks at where the hook is. Where it is not, it says where it goes
// for this libvirt; 0: not known, and taken for a new one.
func (h Host) findHook(libvirt uint32) (hookFile, error) {
	return once(h, fmt.Sprint("hook for ", libvirt), func() (hookFile, error) { return h.lookForHook(libvirt) })
}

func (h Host) lookForHook(libvirt uint32) (hookFile, error) {
	hooks, qemu := h.hookDirs()
	record, err := h.HookJournal().Changes()
	if err != nil && !errors.Is(err, fs.ErrPermission) { // who is not root may still look
		return hookFile{}, err
	}
	var program, sum string
	if program, err = h.HookProgram(); err == nil {
		if sum, err = hashFile(program); err != nil {
			return hookFile{}, err
		}
	}
	places := []string{qemu + "/90-vmhuge", hooks + "/qemu"}
	if libvirt != 0 && libvirt < hookSince {
		slices.Reverse(places)
	}
	var found []hookFile
	for _, place := range places {
		file := hookFile{path: place, program: program, sum: sum}
		if err := h.lookAtHook(&file, record); err != nil {
			return hookFile{}, fmt.Errorf("%s: %w", place, err)
		}
		if file.ours {
			return file, nil
		}
		found = append(found, file)
	}
	return found[0], nil
}

func (h Host) lookAtHook(file *hookFile, record []Change) (err error) {
	file.state, err = h.look(KindCopy, file.path)
	irregular := irregularError("")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.As(err, &irregular):
		file.state = irregular.Error()
		return nil
	case err != nil || file.state == "":
		return err
	}
	sum := sumOf(file.state)
	file.ours = sum == file.sum || h.isHookProgram(file.path) || slices.ContainsFunc(record, func(c Change) bool {
		return c.Kind == KindCopy && c.Path == file.path && sumOf(c.To) == sum
	})
	return nil
}

// sumOf returns the hash in the state of a copy.
func sumOf(state string) string { return state[strings.LastIndex(state, " ")+1:] }

func hashFile(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return hash(f, io.Discard)
}

// isHookProgram says whether a file is a vmhuge-hook of any version.
func (h Host) isHookProgram(file string) bool {
	info, err := buildinfo.ReadFile(h.Root.Path(file))
	return err == nil && info.Path == hookPackage
}

// HookOptions is how the hook shall be installed.
type HookOptions struct {
	Settings HookSettings
	Libvirt  uint32 // its version as it counts: 9000000 is 9.0.0; 0: not known
}

const installing = "installing the hook"

// HookPlan says what must change for the hook to be installed and as this
// vmhuge has it. No change: it is.
func (h Host) HookPlan(o HookOptions) (changes []Change, err error) {
	if st, err := h.lstat("/etc/libvirt"); err != nil || st == nil {
		return nil, cmp.Or(err, error(advice.New(installing, "there is no /etc/libvirt: libvirt is not installed here", "install it first")))
	}
	file, err := h.findHook(o.Libvirt)
	switch {
	case err != nil:
		return nil, advice.About(err, installing)
	case file.program == "":
		_, err := h.HookProgram()
		return nil, advice.About(err, installing)
	case file.state != "" && !file.ours:
		return nil, taken(file)
	}
	if changes, err = h.rootFolders(path.Dir(file.path)); err != nil {
		return nil, advice.About(err, installing)
	}
	settings, err := h.settingsPlan(o.Settings)
	if err != nil {
		return nil, advice.About(err, installing)
	}
	changes = append(changes, settings...)
	// Last, for nothing after it can fail and take it away again.
	if want := "0755 0:0 " + file.sum; file.state != want {
		changes = append(changes, Change{Kind: KindCopy, Path: file.path, From: file.state, To: want, Source: file.program})
	}
	return changes, nil
}

// taken is the error of a place that holds another program.
func taken(file hookFile) error {
	if path.Base(file.path) == "qemu" {
		return advice.New(installing, file.path+" is another program, and libvirt before 6.5 runs no other one for guests",
			"have it pass its arguments and its standard input on to a copy of "+file.program+", or update libvirt")
	}
	return advice.New(installing, file.path+" is there and is none of vmhuge's", "move it out of that folder, where libvirt runs every file")
}

// settingsPlan returns what makes the settings these.
func (h Host) settingsPlan(want HookSettings) ([]Change, error) {
	now, err := h.HookSettings()
	if err != nil {
		return nil, advice.Wrap(err, "its settings", "mend that file or remove it")
	}
	if now == want {
		return nil, nil
	}
	file := "/" + path.Join(hookSettings...)
	var changes []Change
	dir, err := h.look(KindMkdir, path.Dir(file))
	if err == nil && dir == "" {
		changes = append(changes, Change{Kind: KindMkdir, Path: path.Dir(file), To: "0755 0:0"})
	}
	state := ""
	if err == nil && dir != "" {
		state, err = h.look(KindFile, file)
	}
	if err != nil {
		return nil, err
	}
	if want != (HookSettings{}) {
		return append(changes, Change{Kind: KindFile, Path: file, From: state, To: want.state()}), nil
	}
	changes = append(changes, Change{Kind: KindFile, Path: file, From: state})
	made := Change{Kind: KindMkdir, Path: path.Dir(file), To: dir}
	if record, err := h.HookJournal().Changes(); err == nil && slices.Contains(record, made) && !h.holdsOther(made.Path, changes) {
		changes = append(changes, made.Reverse())
	}
	return changes, nil
}

// holdsOther says whether a folder will not be empty after the changes.
func (h Host) holdsOther(dir string, changes []Change) bool {
	entries, err := os.ReadDir(h.Root.Path(dir))
	return err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return !slices.ContainsFunc(changes, func(c Change) bool { return c.Path == path.Join(dir, e.Name()) && c.To == "" })
	})
}
