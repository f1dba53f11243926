// Package hosttest has hosts for tests: trees of files that a host.Host can have as its
// root.
package hosttest

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"vmhuge/internal/hostfs"
)

// hosts are whole hosts, a file each; edits are put over them.
//
//go:embed hosts
var hosts embed.FS

// NeedRoot ends a test that only root can run.
func NeedRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		Lacks(t, "needs root, for owners and mounts; run: sudo ./just test")
	}
}

// Lacks ends a test for want of something. CI has all that a test needs, so that it fails there.
func Lacks(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Unpack unpacks testdata/hosts/NAME.txtar, and over it edits of the same
// form; see one-node.txtar for its two special files. A file that is empty in
// an edit is removed.
func Unpack(t *testing.T, name, edits string) hostfs.Root {
	t.Helper()
	NeedRoot(t)
	root := t.TempDir()
	base, err := hosts.ReadFile("hosts/" + name + ".txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(base), edits} {
		var modes string
		for _, f := range txtar.Parse([]byte(text)).Files {
			switch data := string(f.Data); {
			case f.Name == "pools":
				UnpackPools(t, root, data)
			case f.Name == "modes":
				modes += data
			case data == "" && text == edits:
				Must(t, os.Remove(filepath.Join(root, f.Name)))
			default:
				WriteFile(t, filepath.Join(root, f.Name), data)
				if path, ok := strings.CutSuffix(f.Name, "/cmdline"); ok && strings.HasPrefix(path, "proc/") { // of a process, and it runs what stands first
					program, _, _ := strings.Cut(data, "\x00")
					Must(t, os.Symlink(program, filepath.Join(root, path, "exe")))
				}
			}
		}
		for line := range strings.Lines(modes) {
			var path string
			var mode uint32
			var uid, gid int
			if _, err := fmt.Sscanf(line, "%s %o %d:%d\n", &path, &mode, &uid, &gid); err != nil {
				t.Fatalf("modes: %q: %v", line, err)
			}
			if strings.HasSuffix(path, "/") {
				Must(t, os.MkdirAll(filepath.Join(root, path), 0o755))
			}
			Must(t, os.Chown(filepath.Join(root, path), uid, gid))
			Must(t, unix.Chmod(filepath.Join(root, path), mode))
		}
	}
	return hostfs.Root(root)
}

func UnpackPools(t *testing.T, root, lines string) {
	t.Helper()
	Must(t, os.RemoveAll(filepath.Join(root, "sys/kernel/mm/hugepages")))
	addPools(t, root, lines)
}

func addPools(t *testing.T, root, lines string) {
	t.Helper()
	for line := range strings.Lines(lines) {
		f := strings.Fields(line)
		dir, names := "sys/kernel/mm/hugepages", []string{"nr", "free", "resv", "surplus", "nr_overcommit"}
		if _, err := strconv.Atoi(f[0]); err == nil {
			dir, names = "sys/devices/system/node/node"+f[0]+"/hugepages", []string{"nr", "free", "surplus"}
		}
		if len(f) != len(names)+2 {
			t.Fatalf("pools: %q has not %d counters", line, len(names))
		}
		for i, name := range names {
			WriteFile(t, filepath.Join(root, dir, "hugepages-"+f[1]+"kB", name+"_hugepages"), f[2+i]+"\n")
		}
	}
}

func WriteFile(t *testing.T, path, text string) {
	t.Helper()
	Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	Must(t, os.WriteFile(path, []byte(text), 0o644))
}

func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// AddSeeds seeds a target with one file of every fixture host.
func AddSeeds(f *testing.F, path string) {
	names, err := hosts.ReadDir("hosts")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		text, err := hosts.ReadFile("hosts/" + name.Name())
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range txtar.Parse(text).Files {
			if file.Name == path {
				f.Add(string(file.Data))
			}
		}
	}
}

// Tree lists what a host has, with modes.
func Tree(t *testing.T, root hostfs.Root) string {
	t.Helper()
	out, err := exec.Command("find", root.Path(), "-printf", "%P %m %U:%G %s %y\n").Output()
	Must(t, err)
	lines := strings.Split(string(out), "\n")
	for i, line := range lines {
		if strings.HasSuffix(line, " d") { // of a folder the size is no content
			f := strings.Fields(line)
			lines[i] = strings.Join(f[:len(f)-2], " ")
		}
	}
	return strings.Join(lines, "\n")
}
