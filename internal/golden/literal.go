// Package golden keeps what tests expect of the program's words up to date.
package golden

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Update asks whether the tests are to write down what they get, not to compare
// it: go test -update, in a package that has declared the flag.
func Update() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

// Literal holds got to want, a string literal of the file that calls it, but for
// space around them. With -update it writes got into the file where want stands.
func Literal(t *testing.T, want, got string) {
	t.Helper()
	want, got = strings.TrimSpace(want), strings.TrimSpace(got)
	if want == got {
		return
	}
	if !Update() || want == "" {
		t.Errorf("-want +got (./just golden writes other words down):\n%s", cmp.Diff(want, got))
		return
	}
	_, file, _, _ := runtime.Caller(1)
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed, ok := replaceLiteral(file, source, want, got)
	if !ok {
		t.Fatalf("%s has no literal that is this; run it again if it had:\n%s", file, want)
	}
	if err := os.WriteFile(file, changed, 0o644); err != nil {
		t.Fatal(err)
	}
}

// replaceLiteral replaces the literals whose value is want, but for space around it,
// which stays.
func replaceLiteral(file string, source []byte, want, got string) (changed []byte, ok bool) {
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, file, source, 0)
	if err != nil {
		return nil, false
	}
	var found []*ast.BasicLit
	ast.Inspect(tree, func(n ast.Node) bool {
		if lit, is := n.(*ast.BasicLit); is && lit.Kind == token.STRING {
			if value, err := strconv.Unquote(lit.Value); err == nil && strings.TrimSpace(value) == want {
				found = append(found, lit)
			}
		}
		return true
	})
	for _, lit := range slices.Backward(found) {
		value, _ := strconv.Unquote(lit.Value)
		value = strings.Replace(value, want, got, 1)
		quoted := strconv.Quote(value)
		if lit.Value[0] == '`' && !strings.Contains(value, "`") {
			quoted = "`" + value + "`"
		}
		at := files.Position(lit.Pos()).Offset
		source = slices.Concat(source[:at], []byte(quoted), source[at+len(lit.Value):])
	}
	return source, len(found) > 0
}
