package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"vmhuge/hostprep/check"
)

// Which check made a finding is asked with the check, not with its name in quotes: a
// renamed check would be missed there without a word. Rows of explain are data; their
// own test holds them to the names.
func TestChecksByValue(t *testing.T) {
	names := map[string]bool{}
	for _, c := range check.Checks() {
		names[c.Name] = true
	}
	files := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "../explain/table") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		for _, at := range namedChecks(file, names) {
			t.Errorf("%s has the name of a check: take the check's own (check.FoundBy, check.Pool.Name)", files.Position(at))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// namedChecks finds the literals of these names that stand with a field Check: in a
// comparison, a call, an index, a switch or a value.
func namedChecks(file *ast.File, names map[string]bool) []token.Pos {
	var found []token.Pos
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr, *ast.CallExpr, *ast.IndexExpr, *ast.KeyValueExpr:
			found = append(found, literalsBesideCheck(n, names)...)
		case *ast.SwitchStmt:
			if n.Tag == nil || !isCheck(n.Tag) {
				break
			}
			for _, c := range n.Body.List {
				for _, value := range c.(*ast.CaseClause).List {
					found = append(found, literals(value, names)...)
				}
			}
		}
		return true
	})
	return found
}

func literalsBesideCheck(n ast.Node, names map[string]bool) []token.Pos {
	beside := false
	ast.Inspect(n, func(in ast.Node) bool {
		beside = beside || isCheck(in)
		_, isFunc := in.(*ast.FuncLit)
		return !isFunc
	})
	if !beside {
		return nil
	}
	return literals(n, names)
}

func isCheck(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.SelectorExpr:
		return n.Sel.Name == "Check"
	case *ast.KeyValueExpr:
		key, ok := n.Key.(*ast.Ident)
		return ok && key.Name == "Check"
	}
	return false
}

func literals(n ast.Node, names map[string]bool) []token.Pos {
	var found []token.Pos
	ast.Inspect(n, func(in ast.Node) bool {
		if lit, ok := in.(*ast.BasicLit); ok {
			if text, err := strconv.Unquote(lit.Value); err == nil && names[text] {
				found = append(found, lit.Pos())
			}
		}
		_, isFunc := in.(*ast.FuncLit)
		return !isFunc
	})
	return found
}
