package hostfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestPath(t *testing.T) {
	for root, want := range map[Root]string{"": "/proc/meminfo", "/": "/proc/meminfo", "/tmp/x": "/tmp/x/proc/meminfo", "x/": "x/proc/meminfo"} {
		if got := root.Path("proc", "meminfo"); got != want {
			t.Errorf("%q: %s, not %s", root, got, want)
		}
	}
}

func TestInt(t *testing.T) {
	root := Root(t.TempDir())
	for text, want := range map[string]int64{"12\n": 12, " -3 ": -3, "0": 0} {
		write(t, root, "n", text)
		if got, err := root.ReadInt("n"); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "\n", "twelve\n", "1 2\n", "9223372036854775808\n"} {
		write(t, root, "n", text)
		if got, err := root.ReadInt("n"); err == nil || !strings.HasPrefix(err.Error(), root.Path("n")+": ") {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}

	write(t, root, "n", "1000000\n")
	if err := root.WriteInt(7, "n"); err != nil {
		t.Fatal(err)
	}
	if text, _ := root.Read("n"); text != "7" {
		t.Errorf("the file holds %q", text)
	}
	if err := root.WriteInt(7, "missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	wantEntries(t, root, "n")
}

func TestReplace(t *testing.T) {
	root := Root(t.TempDir())
	for _, perm := range []os.FileMode{0o600, 0o644, 0o666} { // whatever the umask
		if err := root.Replace([]byte("new\n"), perm, "f"); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(root.Path("f"))
		if text, _ := root.Read("f"); err != nil || info.Mode().Perm() != perm || text != "new\n" {
			t.Errorf("%v, %v, %q", err, info.Mode(), text)
		}
	}
	if err := root.Replace(nil, 0o600, "f"); err != nil {
		t.Fatal(err)
	}
	if text, err := root.Read("f"); err != nil || text != "" {
		t.Errorf("%q, %v", text, err)
	}
	wantEntries(t, root, "f")
}

// A symbolic link in the file's place is replaced, and what it names is not
// touched.
func TestReplaceSymlink(t *testing.T) {
	root := Root(t.TempDir())
	write(t, root, "victim", "precious")
	for _, target := range []string{root.Path("victim"), "nowhere"} {
		_ = os.Remove(root.Path("f"))
		if err := os.Symlink(target, root.Path("f")); err != nil {
			t.Fatal(err)
		}
		if err := root.Replace([]byte("new"), 0o600, "f"); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(root.Path("f"))
		if err != nil || !info.Mode().IsRegular() {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
	if text, _ := root.Read("victim"); text != "precious" {
		t.Errorf("the file behind the link holds %q", text)
	}
	wantEntries(t, root, "f", "victim")
}

// What can't be replaced stays, and leaves no temporary file.
func TestReplaceFails(t *testing.T) {
	root := Root(t.TempDir())
	if err := os.MkdirAll(root.Path("dir", "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := root.Replace([]byte("new"), 0o600, "dir"); err == nil {
		t.Error("a folder was replaced")
	}
	if err := root.Replace([]byte("new"), 0o600, "missing", "f"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
	wantEntries(t, root, "dir")
}

// A reader sees one text or the other, whole.
func TestReplaceAtomic(t *testing.T) {
	root := Root(t.TempDir())
	texts := []string{strings.Repeat("a", 1<<16), strings.Repeat("b", 1<<15)}
	write(t, root, "f", texts[0])
	var writers sync.WaitGroup
	for _, text := range texts {
		writers.Add(1)
		go func() {
			defer writers.Done()
			for range 20 {
				if err := root.Replace([]byte(text), 0o600, "f"); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		if text, err := root.Read("f"); err != nil || text != texts[0] && text != texts[1] {
			t.Fatalf("%d bytes, %v", len(text), err)
		}
	}
	wantEntries(t, root, "f")
}

func write(t *testing.T, root Root, name, text string) {
	t.Helper()
	if err := os.WriteFile(root.Path(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func wantEntries(t *testing.T, root Root, want ...string) {
	t.Helper()
	paths, err := filepath.Glob(root.Path("*"))
	hidden, _ := filepath.Glob(root.Path(".*"))
	if len(paths)+len(hidden) != len(want) || err != nil {
		t.Errorf("the folder holds %q and %q, not %q, %v", paths, hidden, want, err)
	}
}
