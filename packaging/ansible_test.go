package packaging

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sanityTests are those of ansible-test that need nothing from PyPI. What the others would
// run, TestCollection runs itself as far as Debian has it: validate-modules, yamllint, pep8.
var sanityTests = []string{"action-plugin-docs", "compile", "empty-init", "ignores", "line-endings", "no-assert", "no-get-exception", "no-illegal-filenames",
	"no-main-display", "no-smart-quotes", "replace-urlopen", "shebang", "symlinks", "use-argspec-type-path"}

// TestCollection holds the Ansible collection to what Ansible asks of one, and looks at its package.
func TestCollection(t *testing.T) {
	out := t.TempDir()
	build(t, "./build-ansible", out)
	dir := filepath.Join(t.TempDir(), "ansible_collections", "vmhuge", "host")
	if err := os.CopyFS(dir, os.DirFS("../ansible")); err != nil {
		t.Fatal(err)
	}
	// ansible-test writes beside the collection, and into the home.
	env := append(os.Environ(), "HOME="+t.TempDir(), "LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONPATH="+filepath.Join(dir, "../../.."),
		"ANSIBLE_COLLECTIONS_PATHS="+filepath.Join(dir, "../../.."), "ANSIBLE_NOCOLOR=1", "PYTHONDONTWRITEBYTECODE=1")
	run := func(stdin string, args ...string) (string, error) {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir, cmd.Env, cmd.Stdin = dir, env, strings.NewReader(stdin)
		text, err := cmd.CombinedOutput()
		return string(text), err
	}
	must := func(stdin string, args ...string) string {
		t.Helper()
		text, err := run(stdin, args...)
		if err != nil {
			t.Errorf("%q: %v\n%s", args, err, text)
		}
		return strings.TrimSpace(text)
	}

	t.Run("package", func(t *testing.T) {
		want := []string{"FILES.json", "LICENSE", "MANIFEST.json", "README.md", "meta/runtime.yml", "playbooks/site.yml"}
		for _, files := range []string{"plugins/*/*.py", "roles/*/*/*.yml"} {
			names, _ := filepath.Glob(filepath.Join(dir, files))
			for _, name := range names {
				want = append(want, name[len(dir)+1:])
			}
		}
		slices.Sort(want)
		var got []string
		for name := range strings.FieldsSeq(output(t, "tar", "-tf", filepath.Join(out, "vmhuge-host-"+version+".tar.gz"))) {
			if !strings.HasSuffix(name, "/") {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("sanity", func(t *testing.T) {
		python := must("", "/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
		args := []string{"ansible-test", "sanity", "--local", "--python", python}
		for _, name := range sanityTests {
			args = append(args, "--test", name)
		}
		text := must("", args...)
		for _, name := range sanityTests {
			if !strings.Contains(text, `Running sanity test "`+name+`"`) {
				t.Errorf("%s did not run:\n%s", name, text)
			}
		}
	})

	tests := must("", "/usr/bin/python3", "-c", "import ansible_test; print(ansible_test.__path__[0])") + "/_util/controller/sanity/"
	t.Run("validate-modules", func(t *testing.T) {
		text, err := run("", "/usr/bin/python3", tests+"validate-modules/validate.py", "--format", "json", "--collection", "ansible_collections/vmhuge/host",
			"--collection-version", "1.0.0", "--arg-spec", "plugins/modules")
		var files map[string]struct {
			Errors []struct{ Code, Msg string }
		}
		if json.Unmarshal([]byte(text), &files) != nil || len(files) != 3 {
			t.Fatalf("%v\n%s", err, text)
		}
		for name, file := range files {
			for _, e := range file.Errors {
				if e.Code != "missing-gplv3-license" { // it is Apache-2.0: ansible/tests/sanity
					t.Errorf("%s: %s: %s", name, e.Code, e.Msg)
				}
			}
		}
	})

	t.Run("pep8", func(t *testing.T) {
		ignored, err := os.ReadFile(tests + "pep8/current-ignore.txt")
		if err != nil {
			t.Fatal(err)
		}
		must("", "pycodestyle", "--max-line-length", "160", "--config", "/dev/null", "--ignore", strings.Join(strings.Fields(string(ignored)), ","), "plugins")
	})

	t.Run("yamllint", func(t *testing.T) {
		var files []string
		for _, pattern := range []string{"*.yml", "*/*.yml", "roles/*/*/*.yml", "plugins/modules/*.py"} {
			names, _ := filepath.Glob(filepath.Join(dir, pattern))
			for _, name := range names {
				files = append(files, name[len(dir)+1:])
			}
		}
		text := must(strings.Join(files, "\n"), "/usr/bin/python3", tests+"yamllint/yamllinter.py")
		if !strings.Contains(text, `"messages": []`) {
			t.Error(text)
		}
	})

	t.Run("documentation", func(t *testing.T) {
		for _, name := range []string{"vmhuge_domain", "vmhuge_facts", "vmhuge_host"} {
			if text := must("", "ansible-doc", "vmhuge.host."+name); !strings.Contains(text, "EXAMPLES:") {
				t.Error(text)
			}
		}
		if text := must("", "ansible-doc", "--type", "role", "vmhuge.host.hypervisor"); !strings.Contains(text, "vmhuge_domains") {
			t.Error(text)
		}
	})
}
