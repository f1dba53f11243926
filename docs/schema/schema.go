// Package schema holds what vmhuge prints with --json to the schemas beside it.
// Only tests use it.
package schema

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed *.json
var files embed.FS

// Defs is the text of the shapes that the commands' schemas share.
func Defs() ([]byte, error) { return files.ReadFile("defs.json") }

// Commands returns the commands that have a schema, their words joined by "-".
func Commands() []string {
	entries, _ := fs.ReadDir(files, ".") // can't fail
	var names []string
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".json"); name != "defs" && name != "error" {
			names = append(names, name)
		}
	}
	return names
}

// CheckRun checks a run of vmhuge with these arguments. Where they ask for no
// JSON there is nothing to check.
func CheckRun(args []string, code int, stdout, stderr string) error {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	if !slices.Contains(args, "--json") {
		return nil
	}
	name := Command(args)
	answer := []byte(stdout)
	if lines := strings.Split(strings.TrimSpace(stderr), "\n"); name == "exec" && !json.Valid(answer) {
		answer = []byte(lines[len(lines)-1]) // standard output is QEMU's
	}
	if name == "" && code == 0 && !json.Valid(answer) {
		return nil // help
	}
	return Check(name, code, answer)
}

// Command finds the command in a command line, as the name of its schema; "":
// none that has one.
func Command(args []string) string {
	var words []string
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			words = append(words, arg)
		}
	}
	names := Commands()
	for i, word := range words {
		if i+1 < len(words) && slices.Contains(names, word+"-"+words[i+1]) {
			return word + "-" + words[i+1]
		}
		if slices.Contains(names, word) {
			return word
		}
	}
	return ""
}

// compiled are all schemas, shut.
var compiled = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		text, err := files.ReadFile(e.Name())
		if err != nil {
			return nil, err
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		shut(document)
		if err := c.AddResource(e.Name(), document); err != nil {
			return nil, err
		}
	}
	schemas := map[string]*jsonschema.Schema{}
	for _, name := range append(Commands(), "error") {
		if schemas[name], err = c.Compile(name + ".json"); err != nil {
			return nil, err
		}
	}
	return schemas, nil
})

// Check checks an answer by the schema of its command. It is stricter than the
// schema is for users: what that does not describe must not be there. An error
// without a command, of a command line that can't be read, has its own schema.
func Check(command string, code int, answer []byte) error {
	if command == "" {
		command = "error"
	}
	schemas, err := compiled()
	if err != nil {
		return err
	}
	s, ok := schemas[command]
	if !ok {
		return fmt.Errorf("there is no schema of %s", command)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(answer))
	if err != nil {
		return fmt.Errorf("%s --json: it is not one JSON object: %w\n%s", command, err, answer)
	}
	if err := s.Validate(value); err != nil {
		return fmt.Errorf("%s --json: %w\n%s", command, err, answer)
	}
	if hasNull(value) { // also where the schema is open
		return fmt.Errorf("%s --json: something is null\n%s", command, answer)
	}
	if object, ok := value.(map[string]any); ok && object["error"] != nil && code == 0 {
		return fmt.Errorf("%s --json: an error, and exit code 0\n%s", command, answer)
	}
	return nil
}

func hasNull(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case []any:
		return slices.ContainsFunc(v, hasNull)
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(v)), hasNull)
	}
	return false
}

// shut lets no object have fields that are not described, but for those whose
// schema is marked open.
func shut(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		for _, part := range s {
			shut(part)
		}
		if _, describes := s["properties"].(map[string]any); describes && s["$comment"] != "open" {
			s["additionalProperties"] = false
		}
	case []any:
		for _, part := range s {
			shut(part)
		}
	}
}
