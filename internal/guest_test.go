package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// A guest is made by NewGuest alone, and of what goes into it no field is left
// out: a zero that nobody has written is taken for something that is known.
func TestGuestsAreWhole(t *testing.T) {
	whole := map[string]int{} // the fields of each
	inside := func(file string) bool { return filepath.Dir(file) == "../hostprep" }
	each := func(see func(file string, n ast.Node)) {
		err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || strings.Contains(file, "/guesttest/") {
				return err
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err == nil {
				ast.Inspect(parsed, func(n ast.Node) bool { see(file, n); return true })
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	each(func(file string, n ast.Node) {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || !inside(file) {
			return
		}
		switch spec.Name.Name {
		case "Guest", "Starter", "IDs", "Allowance":
			whole[spec.Name.Name] += spec.Type.(*ast.StructType).Fields.NumFields()
		}
	})
	guests := 0
	each(func(file string, n ast.Node) {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return
		}
		name := ""
		switch typ := lit.Type.(type) {
		case *ast.Ident:
			if inside(file) {
				name = typ.Name
			}
		case *ast.SelectorExpr:
			if room, ok := typ.X.(*ast.Ident); ok && room.Name == "hostprep" {
				name = typ.Sel.Name
			}
		}
		if whole[name] == 0 {
			return
		}
		if name == "Guest" {
			guests++
		}
		if len(lit.Elts) != whole[name] {
			t.Errorf("%s: %s has %d fields, and not all %d", file, name, len(lit.Elts), whole[name])
		}
	})
	if len(whole) != 4 || guests != 1 {
		t.Errorf("found the types %v, and %d places that make a Guest, not one", whole, guests)
	}
}
