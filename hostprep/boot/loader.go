package boot

import (
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/cmdline"
	"vmhuge/hostprep/host"
)

// loader is a way in which hosts get the kernel's command line: a boot loader, each in a
// file of its own, or something else whose files are not vmhuge's to edit.
type loader struct {
	name string
	// find says whether it is in charge of a host, and which files it reads.
	find func(h host.Host) (files []cmdline.File, inCharge bool, err error)
	// lines returns the command lines that it makes of its files.
	lines func(files []cmdline.File) []cmdline.Line
	// own is the text of the file that is vmhuge's alone; nil: it has no such file.
	own func(ours string) string
	// byHand says how the user puts options there; nil: vmhuge edits the files.
	byHand func(options string) string
	// product is what has to be made anew of /etc/kernel/cmdline, and "has" or "have"; "": nothing.
	product string
}

// loaders lists every loader. The first that is in charge counts. A function, so that a
// program that does not ask is not linked with all of them.
func loaders() []loader {
	return []loader{container, ostree, nixOS, guix, readOnlyEtc, sdbootutil, transactional, kernelInstallImage, mkinitcpioImage, dracutImage, unifiedImage,
		systemdBoot, grubEntries, grub, limine, alpineExtlinux, extlinux, elsewhere}
}

// booted is the loader of a host with the files that it reads there.
type booted struct {
	loader
	files []cmdline.File
}

// findLoader looks for the boot loader that is in charge.
func findLoader(h host.Host) (booted, error) {
	for _, l := range loaders() {
		files, inCharge, err := l.find(h)
		if err != nil || inCharge {
			return booted{l, files}, err
		}
	}
	return booted{loader: elsewhere}, nil
}

// with returns the boot loader's files with ours on the command line.
func (b booted) with(ours string) (booted, error) {
	b.files = slices.Clone(b.files)
	for i, f := range b.files {
		var err error
		switch {
		case f.Own && ours == "":
			b.files[i].Text = ""
		case f.Own:
			b.files[i].Text = b.own(ours)
		case f.Edited:
			b.files[i].Text, err = cmdline.PutIn(f.Path, f.Text, ours)
		}
		if err != nil && ours != "" {
			return b, err
		}
	}
	return b, nil
}

// changes are what puts ours on the command line.
func (b booted) changes(h host.Host, ours string) ([]change.Change, error) {
	var changes []change.Change
	for _, f := range b.files {
		if f.Own {
			text := ""
			if ours != "" {
				text = b.own(ours)
			}
			own, err := change.FilePlan(h, f.Path, text)
			if err != nil {
				return nil, err
			}
			changes = append(changes, own...)
			continue
		}
		has, err := cmdline.OursIn(f.Path, f.Text)
		if !f.Edited || err != nil || has == ours {
			continue
		}
		c := change.Change{Kind: change.KindKernelArgs, Path: f.Path, From: has, To: ours}
		if cmdline.InEntries(f.Path) {
			c.Path = path.Dir(f.Path)
		}
		if !slices.Contains(changes, c) {
			changes = append(changes, c)
		}
	}
	return changes, nil
}

// whoAsks returns the file that has the options of a line: that of the line, or
// one that the line is made from.
func (b booted) whoAsks(file string) string { return b.whoHas(file, hugeWord.Get().MatchString) }

// whoHas returns the file that has such a line in the same way.
func (b booted) whoHas(file string, is func(line string) bool) string {
	asks := func(f cmdline.File) bool {
		for line := range strings.Lines(f.Text) {
			if !f.Own && !strings.HasPrefix(strings.TrimSpace(line), "#") && is(line) {
				return true
			}
		}
		return false
	}
	i := slices.IndexFunc(b.files, func(f cmdline.File) bool { return f.Path == file && asks(f) })
	if i < 0 {
		i = slices.IndexFunc(b.files, asks)
	}
	if i < 0 {
		return file
	}
	return b.files[i].Path
}
