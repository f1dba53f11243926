package boot

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/cmdline"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/journal"
	"vmhuge/internal/pages"
)

var update = flag.Bool("update", false, "write what is planned and made in testdata anew")

// parseWant reads the host that a test is on, and what is wanted: one-node
// 1G:2 2M:5@1 default=1G area=8G@0.
func parseWant(t *testing.T, text string) (host string, want options) {
	t.Helper()
	words := strings.Fields(text)
	for _, word := range words[1:] {
		var err error
		if size, ok := strings.CutPrefix(word, "default="); ok {
			want.defaultSize, err = pages.ParseSize(size)
			hosttest.Must(t, err)
			continue
		}
		if area, ok := strings.CutPrefix(word, "area="); ok {
			a := Area{Node: -1}
			if _, err := fmt.Sscanf(area, "%dG@%d", &a.GiB, &a.Node); err != nil && !strings.Contains(err.Error(), "EOF") {
				t.Fatalf("%s: %v", word, err)
			}
			want.areas = append(want.areas, a)
			continue
		}
		if word == "freed" {
			want.freeStructs = true
			continue
		}
		w := PoolPages{Node: -1}
		size, count, _ := strings.Cut(word, ":")
		w.Size, err = pages.ParseSize(size)
		hosttest.Must(t, err)
		if _, err := fmt.Sscanf(count, "%d@%d", &w.Pages, &w.Node); err != nil && !strings.Contains(err.Error(), "EOF") {
			t.Fatalf("%s: %v", word, err)
		}
		want.pages = append(want.pages, w)
	}
	return words[0], want
}

// Each host of testdata: what is planned, what that makes of its files, that
// it is enough, and that they are as they were once it is taken back, by Undo or
// by a plan for nothing.
func TestKernelCmdlinePlan(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	hosttest.Must(t, err)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			hosttest.Must(t, err)
			machine := txtar.Archive{}
			var wantText, golden string
			for _, f := range archive.Files {
				switch f.Name {
				case "want":
					wantText = string(f.Data)
				case "plan":
					golden = string(f.Data)
				default:
					machine.Files = append(machine.Files, f)
				}
			}
			name, want := parseWant(t, wantText)
			h := host.Host{Root: hosttest.Unpack(t, name, string(txtar.Format(&machine)))}
			before := snapshot(t, h)
			plan := func(want options) (text string, changes []change.Change) {
				t.Helper()
				findings, err := cmdlinePlan(h, want)
				hosttest.Must(t, err)
				for _, f := range findings {
					text += fmt.Sprintf("%s\nhave: %s\nneed: %s\ndo:   %s\n", f.Severity, f.Have, f.Need, f.Do)
					for _, c := range f.Changes {
						text += c.String() + "\n"
					}
					changes = append(changes, f.Changes...)
				}
				return text, changes
			}
			j := journal.Journal{Host: h}
			got, changes := plan(want)
			hosttest.Must(t, j.Apply(changes))
			applied := snapshot(t, h)
			for _, file := range slices.Sorted(keysOf(applied)) {
				if applied[file] != before[file] && before[file] != "" {
					got += "> " + file + "\n" + changedLines(before[file], applied[file])
				}
			}
			if again, _ := plan(want); len(changes) > 0 && again != "" {
				t.Errorf("after the changes there is still to do:\n%s", again)
			}
			if undone, left, err := j.Undo(); len(undone) != len(changes) || len(left) > 0 || err != nil {
				t.Errorf("undone %v, left %v, %v", undone, left, err)
			}
			// An entry that has ours without a record loses it, too.
			if diff := cmp.Diff(before, snapshot(t, h)); diff != "" && !strings.Contains(before["/boot/loader/entries/arch-lts.conf"], cmdline.Begin) {
				t.Errorf("Undo -before +after:\n%s", diff)
			}

			if !strings.Contains(fmt.Sprint(before), cmdline.Begin) { // else it was not without at first
				hosttest.Must(t, j.Apply(changes))
				_, none := plan(options{})
				hosttest.Must(t, j.Apply(none))
				if diff := cmp.Diff(before, snapshot(t, h)); diff != "" {
					t.Errorf("a plan for nothing -before +after:\n%s", diff)
				}
				if again, _ := plan(options{}); again != "" {
					t.Errorf("where nothing is ours there is still to do:\n%s", again)
				}
			}
			if *update {
				machine.Comment = archive.Comment
				machine.Files = append([]txtar.File{{Name: "want", Data: []byte(wantText)}}, append(machine.Files, txtar.File{Name: "plan", Data: []byte(got)})...)
				hosttest.Must(t, os.WriteFile(file, txtar.Format(&machine), 0o644))
			} else if diff := cmp.Diff(golden, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Every loader is in charge of some host of testdata.
func TestEveryLoader(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	hosttest.Must(t, err)
	found := map[string]bool{readOnlyEtc.name: true} // TestReadOnlyEtc
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		hosttest.Must(t, err)
		name, _, _ := strings.Cut(string(archive.Files[0].Data), " ")
		machine := slices.DeleteFunc(archive.Files[1:], func(f txtar.File) bool { return f.Name == "plan" })
		b, err := findLoader(host.Host{Root: hosttest.Unpack(t, name, string(txtar.Format(&txtar.Archive{Files: machine})))})
		hosttest.Must(t, err)
		found[b.name] = true
	}
	for _, l := range loaders() {
		if !found[l.name] {
			t.Errorf("no host of testdata has %s", l.name)
		}
	}
}

func keysOf(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// snapshot returns the files of /etc and /boot, with mode and owner.
func snapshot(t *testing.T, h host.Host) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range []string{"etc", "boot"} {
		_ = filepath.WalkDir(h.Root.Path(dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				file := strings.TrimPrefix(path, h.Root.Path())
				all[file], err = change.Look(h, change.KindFile, file)
				hosttest.Must(t, err)
			}
			return nil
		})
	}
	return all
}

func changedLines(from, to string) string {
	there := slices.Collect(strings.Lines(from))
	text := ""
	for line := range strings.Lines(to) {
		if !slices.Contains(there, line) {
			text += strings.TrimSuffix(line, "\n") + "\n"
		}
	}
	return text
}

// A new kernel's entry is a copy, and what is ours goes from it as well. The
// variables that GRUB writes while it boots do not stand in the way.
func TestUndoAfterANewKernel(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/red-hat-8.txtar")
	hosttest.Must(t, err)
	h := host.Host{Root: hosttest.Unpack(t, "one-node", string(txtar.Format(archive)))}
	entry := h.Root.Path("boot/loader/entries/4.18.conf")
	hosttest.WriteFile(t, entry, "linux /vmlinuz\noptions root=UUID=1 ro\n")
	j := journal.Journal{Host: h}
	findings, err := cmdlinePlan(h, options{pages: []PoolPages{{pages.Size1GiB, 2, -1}}})
	hosttest.Must(t, err)
	hosttest.Must(t, j.Apply(findings[0].Changes))
	text, err := os.ReadFile(entry)
	hosttest.Must(t, err)
	hosttest.WriteFile(t, h.Root.Path("boot/loader/entries/5.14.conf"), strings.Replace(string(text), "ro", "rw", 1))
	if undone, left, err := j.Undo(); len(undone) != len(findings[0].Changes) || len(left) > 0 || err != nil {
		t.Errorf("undone %v, left %v, %v", undone, left, err)
	}
	for file, text := range snapshot(t, h) {
		if strings.Contains(text, "hugepages") || strings.Contains(text, cmdline.Begin) {
			t.Errorf("%s: %s", file, text)
		}
	}
}

// The shell that reads the files for grub-mkconfig makes the same of them.
func TestGrubLineIsTheShells(t *testing.T) {
	for _, name := range []string{"debian-grub", "foreign-same-size", "ours-changes", "ubuntu-14.04", "overridden"} {
		archive, err := txtar.ParseFile("testdata/" + name + ".txtar")
		hosttest.Must(t, err)
		h := host.Host{Root: hosttest.Unpack(t, "one-node", string(txtar.Format(&txtar.Archive{Files: archive.Files[1:]})))}
		boot, err := findLoader(h)
		hosttest.Must(t, err)
		script := ""
		for _, f := range boot.files {
			if f.Edited {
				f.Text, err = cmdline.PutIn(f.Path, f.Text, "hugepages=1")
				if f.Own {
					f.Text, err = grub.own("hugepages=1"), nil
				}
				hosttest.Must(t, err)
				hosttest.WriteFile(t, h.Root.Path(f.Path), f.Text)
			}
			script += ". " + h.Root.Path(f.Path) + "\n"
		}
		boot, err = findLoader(h)
		hosttest.Must(t, err)
		out, err := exec.Command("sh", "-c", script+`echo $GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT`).Output()
		line := strings.Join(strings.Fields(cmdline.GrubLine(boot.files)), " ")
		if err != nil || strings.TrimSpace(string(out)) != line || name != "overridden" && cmdline.Ours(line) != "hugepages=1" {
			t.Errorf("%s: the shell has %s, not %s, %v", name, out, line, err)
		}
	}
}

func FuzzBootFiles(f *testing.F) {
	f.Add("GRUB_CMDLINE_LINUX=\"a\"\nGRUB_CMDLINE_LINUX_DEFAULT='b c' # d\n")
	f.Add("title x\nlinux /vmlinuz\noptions a b\noptions c\n")
	f.Add("# GRUB Environment Block\nkernelopts=a b \nx=1\n" + strings.Repeat("#", 99))
	f.Add("root=UUID=1 ro\n")
	f.Fuzz(func(t *testing.T, text string) {
		cmdline.GrubLine([]cmdline.File{{Text: text}})
		for _, file := range []string{"/etc/default/grub", "/boot/loader/entries/a.conf", "/boot/grub2/grubenv", "/etc/kernel/cmdline"} {
			cmdline.Lines([]cmdline.File{{Path: file, Text: text}})
			on, err := cmdline.PutIn(file, text, "hugepages=1")
			if err != nil || strings.Contains(text, cmdline.Begin) {
				continue
			}
			if ours, err := cmdline.OursIn(file, on); err != nil || ours != "hugepages=1" {
				t.Errorf("%s: %q has %q, %v", file, on, ours, err)
			}
			if off, err := cmdline.PutIn(file, on, ""); err != nil || off != text {
				t.Errorf("%s: %q became %q and %q, %v", file, text, on, off, err)
			}
		}
	})
}

// A read-only /etc, on the real kernel.
func TestReadOnlyEtc(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- etc/default/grub --\nGRUB_CMDLINE_LINUX_DEFAULT=\"\"\n")}
	hosttest.InMountNamespace(t, func(t *testing.T) {
		etc := h.Root.Path("etc")
		hosttest.Must(t, unix.Mount(etc, etc, "", unix.MS_BIND, ""))
		defer func() { hosttest.Must(t, unix.Unmount(etc, 0)) }()
		hosttest.Must(t, unix.Mount("", etc, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
		findings, err := cmdlinePlan(h, options{pages: []PoolPages{{pages.Size1GiB, 2, -1}}})
		if err != nil || len(findings) != 1 || findings[0].Severity != hostprep.Blocker || !strings.HasPrefix(findings[0].Do, "/etc is read-only: put hugepagesz=1G hugepages=2 on") {
			t.Errorf("%+v, %v", findings, err)
		}
	})
}
