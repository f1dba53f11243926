package internal_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Each claim of SECURITY.md names the tests that hold it, and there are such tests.
func TestSecurityClaims(t *testing.T) {
	text, err := os.ReadFile("../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)(?:/([a-z_]+))?`").FindAllStringSubmatch(string(text), -1)
	if len(names) < 20 {
		t.Fatalf("it names only %d tests", len(names))
	}
	funcs, err := exec.Command("grep", "-rhoE", "--include=*_test.go", "^func (Test|Fuzz)[A-Za-z0-9_]+", "..").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.Contains(string(funcs)+"\n", "func "+name[1]+"\n") {
			t.Errorf("there is no %s", name[1])
		}
		if name[1] == "TestScripts" {
			if _, err := os.Stat("../cmd/vmhuge/testdata/script/" + name[2] + ".txtar"); err != nil {
				t.Error(err)
			}
		}
	}
}
