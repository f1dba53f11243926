package packaging

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestSource makes the source tarball, and of it the programs, without network in an empty folder.
func TestSource(t *testing.T) {
	out, again := t.TempDir(), t.TempDir()
	build(t, "./source", out)
	build(t, "./source", again)
	if diff := cmp.Diff(sums(t, out), sums(t, again)); diff != "" {
		t.Errorf("a second time they differ:\n%s", diff)
	}
	plain(t, filepath.Join(out, "vmhuge-"+version+".tar.gz"))

	tree := t.TempDir()
	output(t, "tar", "-C", tree, "--strip-components=1", "-xzf", filepath.Join(out, "vmhuge-"+version+".tar.gz"))
	recipe, err := os.ReadFile("nix/package.nix")
	if err != nil {
		t.Fatal(err)
	}
	if hash := nixHash(t, filepath.Join(tree, "vendor")); !strings.Contains(string(recipe), `vendorHash = "`+hash+`";`) {
		t.Errorf("the modules have changed: put vendorHash = %q into packaging/nix/package.nix", hash)
	}

	cmd := exec.Command(filepath.Join(tree, "packaging", "compile"), filepath.Join(tree, "built"))
	cmd.Env = append(os.Environ(), "VERSION="+version, "SOURCE_DATE_EPOCH=1700000000", "GOPROXY=off", "GOFLAGS=-mod=vendor", "GOTOOLCHAIN=local", "GOMODCACHE="+t.TempDir())
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if text := output(t, filepath.Join(tree, "built", "vmhuge"), "--version"); text != "vmhuge version "+version+"\n" {
		t.Error(text)
	}
}

// nixHash is Nix's hash of a folder: that of its files in Nix's archive format.
func nixHash(t *testing.T, dir string) string {
	t.Helper()
	sum := sha256.New()
	say := func(words ...string) {
		for _, word := range words {
			var length [8]byte
			binary.LittleEndian.PutUint64(length[:], uint64(len(word)))
			fmt.Fprintf(sum, "%s%s%s", length[:], word, make([]byte, -len(word)&7))
		}
	}
	var add func(path string)
	add = func(path string) {
		entries, err := os.ReadDir(path) // sorted by name
		if errors.Is(err, unix.ENOTDIR) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			say("(", "type", "regular", "contents", string(text), ")")
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		say("(", "type", "directory")
		for _, e := range entries {
			say("entry", "(", "name", e.Name(), "node")
			add(filepath.Join(path, e.Name()))
			say(")")
		}
		say(")")
	}
	say("nix-archive-1")
	add(dir)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum.Sum(nil))
}

// plain tests that a tarball says nothing of who made it, where and when.
func plain(t *testing.T, tarball string) {
	t.Helper()
	file, err := os.Open(tarball)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	if !unzipped.ModTime.IsZero() || unzipped.Name != "" {
		t.Errorf("gzip noted %s, %s", unzipped.Name, unzipped.ModTime)
	}
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" || !h.ModTime.Equal(time.Unix(1700000000, 0)) || h.Mode&0o022 != 0 {
			t.Errorf("%s: %+v", h.Name, h)
		}
	}
}
