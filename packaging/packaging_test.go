// Package packaging tests the packages as files; integration/lab installs them.
package packaging

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const version = "1.2.3"

// build builds packages by one of the scripts.
func build(t *testing.T, script, out string) {
	t.Helper()
	cmd := exec.Command(script, out)
	cmd.Env = append(os.Environ(), "VERSION=v"+version, "SOURCE_DATE_EPOCH=1700000000", "MAINTAINER=Jo Doe <jo@debian.org>")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// output runs a tool that has to succeed.
func output(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	text, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		t.Fatalf("%q: %v\n%s%s", args, err, text, exit.Stderr)
	} else if err != nil {
		t.Fatalf("%v; run: sudo ./just deps-test", err)
	}
	return string(text)
}

// sums returns the hash of each file in a folder.
func sums(t *testing.T, dir string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		sums[path[len(dir):]] = fmt.Sprintf("%x", sha256.Sum256(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// asInDeb returns where the .deb has a file of the .rpm.
var asInDeb = strings.NewReplacer("/zsh/site-functions/", "/zsh/vendor-completions/", "/usr/libexec/", "/usr/lib/")

func TestPackages(t *testing.T) {
	here, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	build(t, filepath.Join(here, "packaging", "build"), out)
	deb := filepath.Join(out, "vmhuge_"+version+"-1_"+strings.TrimSpace(output(t, "dpkg", "--print-architecture"))+".deb")
	rpms, err := filepath.Glob(filepath.Join(out, "vmhuge-"+version+"-1.*.rpm"))
	if err != nil || len(rpms) != 1 {
		t.Fatalf("the packages are %q, %v", sums(t, out), err)
	}
	root := t.TempDir()
	output(t, "dpkg-deb", "-x", deb, root)

	t.Run("again and elsewhere they are the same", func(t *testing.T) {
		elsewhere, again := t.TempDir(), t.TempDir()
		output(t, "tar", "-C", here, "--exclude=./.git", "--exclude=./bin", "--exclude=./dist", "--exclude=./cockpit/node_modules", "-cf", filepath.Join(again, "sources"), ".")
		output(t, "tar", "-C", elsewhere, "-xf", filepath.Join(again, "sources"))
		if err := os.Remove(filepath.Join(again, "sources")); err != nil {
			t.Fatal(err)
		}
		build(t, filepath.Join(elsewhere, "packaging", "build"), again)
		if diff := cmp.Diff(sums(t, out), sums(t, again)); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("lintian has nothing to say", func(t *testing.T) {
		if text := output(t, "lintian", "--allow-root", "--fail-on", "error,warning", deb, filepath.Join(out, "vmhuge-selinux_"+version+"-1_all.deb")); text != "" {
			t.Error(text)
		}
	})

	t.Run("both hold the same files", func(t *testing.T) {
		var inDeb []string
		for path := range sums(t, root) {
			inDeb = append(inDeb, path)
		}
		inRPM := strings.Fields(output(t, "rpm", "-qp", "--queryformat", "[%{FILEMODES:perms} %{FILENAMES}\n]", rpms[0]))
		var files []string
		for i := 0; i < len(inRPM); i += 2 {
			if name := inRPM[i+1]; inRPM[i][0] == '-' {
				files = append(files, asInDeb.Replace(name))
			}
		}
		files = slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "/licenses/vmhuge/LICENSE") })
		inDeb = slices.DeleteFunc(inDeb, func(name string) bool {
			return strings.Contains(name, "lintian") || strings.Contains(name, "changelog.Debian")
		})
		slices.Sort(inDeb)
		slices.Sort(files)
		if diff := cmp.Diff(inDeb, files); diff != "" {
			t.Error(diff)
		}
		for _, file := range []string{"/usr/bin/vmhuge", "/usr/lib/vmhuge/vmhuge-hook", "/usr/lib/systemd/system/vmhuge-metrics.service", "/usr/share/man/man1/vmhuge-hook-install.1.gz",
			"/usr/share/bash-completion/completions/vmhuge", "/usr/share/doc/vmhuge/copyright", "/usr/share/doc/vmhuge/examples/demo"} {
			if !slices.Contains(inDeb, file) {
				t.Errorf("there is no %s", file)
			}
		}
	})

	t.Run("the program knows its version", func(t *testing.T) {
		if text := output(t, filepath.Join(root, "usr/bin/vmhuge"), "--version"); text != "vmhuge version "+version+"\n" {
			t.Error(text)
		}
	})

	t.Run("they need libvirt's client library", func(t *testing.T) {
		if text := output(t, "dpkg-deb", "--field", deb, "Depends"); !strings.Contains(text, "libvirt0 (>= ") || !strings.Contains(text, "libc6 (>= ") {
			t.Error(text)
		}
		if text := output(t, "rpm", "-qp", "--requires", rpms[0]); !strings.Contains(text, "libvirt.so.0(LIBVIRT_") {
			t.Error(text)
		}
	})

	t.Run("modules are listed, with their licences", func(t *testing.T) {
		var sbom struct {
			BOMFormat  string
			Components []struct{ Name, Version, PURL string }
		}
		text, err := os.ReadFile(filepath.Join(out, "vmhuge.cdx.json"))
		if err == nil {
			err = json.Unmarshal(text, &sbom)
		}
		licences, lerr := os.ReadFile(filepath.Join(root, "usr/share/doc/vmhuge/copyright"))
		if err := errors.Join(err, lerr); err != nil || sbom.BOMFormat != "CycloneDX" {
			t.Fatalf("%v\n%s", err, text)
		}
		listed := map[string]bool{}
		for _, c := range sbom.Components {
			listed[c.Name+" "+c.Version] = c.PURL == "pkg:golang/"+c.Name+"@"+c.Version
		}
		for _, program := range []string{"usr/bin/vmhuge", "usr/lib/vmhuge/vmhuge-hook"} {
			info, err := buildinfo.ReadFile(filepath.Join(root, program))
			if err != nil {
				t.Fatal(err)
			}
			for _, dep := range info.Deps {
				if dep.Replace != nil && dep.Replace.Version == "(devel)" { // of this repository
					continue
				}
				if module := dep.Path + " " + dep.Version; !listed[module] || !strings.Contains(string(licences), "--- "+module+"\n") {
					t.Errorf("%s is missing", module)
				}
			}
		}
	})
}
