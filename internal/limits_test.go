package internal_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What fits into a head: a command's file, and a room below hostprep, by lines without
// the tests. What outgrows them has two concepts in it.
const (
	commandLines = 150
	roomLines    = 3300
)

func TestSizes(t *testing.T) {
	commands, err := filepath.Glob("../cmd/*/*.go")
	if err != nil || len(commands) == 0 {
		t.Fatalf("no commands: %v", err)
	}
	for _, file := range commands {
		if n := lines(t, file); n > commandLines {
			t.Errorf("%s has %d lines; at most %d", file, n, commandLines)
		}
	}
	files, err := filepath.Glob("../hostprep/*/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rooms: %v", err)
	}
	rooms := map[string]int{}
	for _, file := range files {
		rooms[filepath.Dir(file)] += lines(t, file)
	}
	for room, n := range rooms {
		if n > roomLines {
			t.Errorf("%s has %d lines; at most %d", room, n, roomLines)
		}
	}
}

// lines counts those of a file; a test has none that count.
func lines(t *testing.T, file string) int {
	t.Helper()
	if strings.HasSuffix(file, "_test.go") {
		return 0
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}
