package distributions

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRPM has rpmbuild make the .rpm, with the tests that a distribution runs, and compares it
// with the .rpm of packaging/build.
func TestRPM(t *testing.T) {
	from, top, nfpms := source(t), t.TempDir(), t.TempDir()
	t.Setenv("PACKAGERS", "rpm")
	run(t, "../../packaging/build", nfpms)
	spec := filepath.Join(from, "vmhuge.spec")
	run(t, "rpmbuild", "-bb", "--nodeps", "--define", "_topdir "+top, "--define", "_sourcedir "+from, "--define", "_binary_payload w1.gzdio", spec)
	nfpm := one(t, nfpms, "vmhuge-"+version+"-1.*.rpm")
	program, policy := one(t, top, "RPMS", "*", "vmhuge-"+version+"-1.*.rpm"), one(t, top, "RPMS", "noarch", "vmhuge-selinux-*.rpm")

	for question, format := range map[string]string{
		"files":   `[%{FILEMODES:perms} %{FILENAMES}\n]`,
		"scripts": `%{POSTIN}\n%{PREUN}\n%{POSTUN}\n`,
	} {
		of := func(rpm string) string { return sorted(run(t, "rpm", "-qp", "--queryformat", format, rpm)) }
		if diff := cmp.Diff(of(nfpm), of(program)); diff != "" {
			t.Errorf("%s (-nfpm +rpmbuild):\n%s", question, diff)
		}
	}
	if text := run(t, "rpm", "-qpl", policy); !strings.Contains(text, "/usr/share/selinux/packages/vmhuge.cil\n") {
		t.Errorf("the policy is not in %s", text)
	}
	// What packaging/build has read from the program, rpmbuild has found as well.
	found := strings.Split(run(t, "rpm", "-qp", "--requires", program), "\n")
	for _, need := range strings.Fields(run(t, "rpm", "-qp", "--requires", nfpm)) {
		if strings.HasPrefix(need, "lib") && !slices.Contains(found, need) {
			t.Errorf("%s is not required", need)
		}
	}
	if text := run(t, "rpm", "-qp", "--provides", program); !strings.Contains(text, "bundled(golang(libvirt.org/go/libvirt)) = ") {
		t.Errorf("it does not say which modules are in it: %s", text)
	}
	if text := run(t, "rpmlint", "-r", "../../packaging/rpm/vmhuge.rpmlintrc", spec, policy, program); !strings.Contains(text, " 0 errors, 0 warnings") {
		t.Error(text)
	}
}
