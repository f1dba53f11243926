package hostprep

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"vmhuge/internal/hostfs"
)

// needRoot ends a test that only root can run.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("needs root, for owners and mounts; run: sudo ./just test")
	}
	t.Skip("needs root, for owners and mounts; run: sudo ./just test")
}

// fixture unpacks testdata/hosts/NAME.txtar, and over it edits of the same
// form; see one-node.txtar for its two special files. A file that is empty in
// an edit is removed.
func fixture(t *testing.T, name, edits string) hostfs.Root {
	t.Helper()
	needRoot(t)
	root := t.TempDir()
	base, err := os.ReadFile(filepath.Join("testdata", "hosts", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(base), edits} {
		var modes string
		for _, f := range txtar.Parse([]byte(text)).Files {
			switch data := string(f.Data); {
			case f.Name == "pools":
				unpackPools(t, root, data)
			case f.Name == "modes":
				modes += data
			case data == "" && text == edits:
				must(t, os.Remove(filepath.Join(root, f.Name)))
			default:
				writeFile(t, filepath.Join(root, f.Name), data)
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
				must(t, os.MkdirAll(filepath.Join(root, path), 0o755))
			}
			must(t, os.Chown(filepath.Join(root, path), uid, gid))
			must(t, unix.Chmod(filepath.Join(root, path), mode))
		}
	}
	return hostfs.Root(root)
}

func unpackPools(t *testing.T, root, lines string) {
	t.Helper()
	must(t, os.RemoveAll(filepath.Join(root, "sys/kernel/mm/hugepages")))
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
			writeFile(t, filepath.Join(root, dir, "hugepages-"+f[1]+"kB", name+"_hugepages"), f[2+i]+"\n")
		}
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
