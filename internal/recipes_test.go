package internal

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	runOption = regexp.MustCompile(`go test .*-run ('[^']*'|\S+)`)
	testFunc  = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	packages  = regexp.MustCompile(` (\./[a-z][a-z0-9/]*)`)
	subtest   = regexp.MustCompile(`/(\([^)]*\)|[\w-]+)`)
	group     = regexp.MustCompile(`^\^Test\(([\w|]+)\)\$$`)
)

// go test calls it ok where -run names no test, as after one was renamed. All that the recipes
// and the lab's shares name are there, each alternative of them.
func TestRecipesNameTests(t *testing.T) {
	text, err := os.ReadFile("../Justfile")
	if err != nil {
		t.Fatal(err)
	}
	recipes := strings.Split(string(text), "\n")
	for _, lane := range []string{"11", "12", "13", "backports", "selinux", "virtqemud"} {
		for commit := range 31 {
			number := strconv.Itoa(commit)
			if commit == 30 { // before a release
				number = ""
			}
			out, err := exec.Command("../.ci/lab-share", lane, number).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			recipes = append(recipes, fmt.Sprintf("go test %s ./integration/lab", strings.TrimSpace(string(out))))
		}
	}
	asked := 0
	for _, line := range recipes {
		option := runOption.FindStringSubmatch(line)
		if option == nil || option[1] == "'^$'" {
			continue
		}
		names := ""
		for _, dir := range packages.FindAllStringSubmatch(line, -1) {
			names += testsIn(t, filepath.Join("..", dir[1]))
		}
		for _, one := range alternatives(strings.Trim(option[1], "'")) {
			asked++
			if !regexp.MustCompile("(?m)" + one).MatchString(names) {
				t.Errorf("there is no test %s: %s", one, strings.TrimSpace(line))
			}
		}
	}
	if asked < 100 {
		t.Errorf("only %d names were found in the recipes", asked)
	}
}

// alternatives are the tests of a pattern, without what follows a /.
func alternatives(pattern string) (all []string) {
	if in := group.FindStringSubmatch(pattern); in != nil {
		for name := range strings.SplitSeq(in[1], "|") {
			all = append(all, "^Test"+name+"$")
		}
		return all
	}
	return strings.Split(subtest.ReplaceAllString(pattern, ""), "|")
}

// testsIn are the names of the tests in a folder, one a line.
func testsIn(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := ""
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range testFunc.FindAllStringSubmatch(string(text), -1) {
			names += name[1] + "\n"
		}
	}
	return names
}
