package internal_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// The pages for who changes vmhuge name files and folders that are there, those below hostprep
// with or without it; NAME, COMMAND and FILE stand for anything.
func TestRoadsLeadSomewhere(t *testing.T) {
	path := regexp.MustCompile("`((?:\\.ci|[a-z]+)/[A-Za-z0-9_./*-]+)`")
	stand := regexp.MustCompile(`NAME|COMMAND|FILE`)
	for page, least := range map[string]int{"CONTRIBUTING.md": 40, "ARCHITECTURE.md": 60} {
		text, err := os.ReadFile("../" + page)
		if err != nil {
			t.Fatal(err)
		}
		named := path.FindAllStringSubmatch(string(text), -1)
		if len(named) < least {
			t.Errorf("%s names only %d", page, len(named))
		}
		for _, n := range named {
			file := stand.ReplaceAllString(n[1], "*")
			if !there("../"+file) && !there("../hostprep/"+file) {
				t.Errorf("%s: there is no %s", page, n[1])
			}
		}
	}
}

func there(pattern string) bool {
	found, err := filepath.Glob(pattern)
	return err == nil && len(found) > 0
}
