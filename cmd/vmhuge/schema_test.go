package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"vmhuge/bench"
	"vmhuge/docs/schema"
	"vmhuge/fleet"
	"vmhuge/hostprep"
	"vmhuge/hostprep/advise"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/collapse"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hostpage"
	"vmhuge/hostprep/journal"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/plan"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/prepare"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

// withoutJSON are the commands that refuse --json, or have no answer.
var withoutJSON = []string{"help", "metrics", "completion", "__complete", "__man", "top", "probe-as-qemu"}

// TestEveryCommandHasSchema finds no command without one, and none without a
// command.
func TestEveryCommandHasSchema(t *testing.T) {
	var commands []string
	var walk func(prefix string, list []*cli.Command)
	walk = func(prefix string, list []*cli.Command) {
		for _, command := range list {
			if len(command.Subcommands) > 0 {
				walk(prefix+command.Name+"-", command.Subcommands)
			} else if name := prefix + command.Name; !slices.Contains(withoutJSON, name) {
				commands = append(commands, name)
			}
		}
	}
	walk("", (&program{}).app().Commands)
	slices.Sort(commands)
	if have := schema.Commands(); !slices.Equal(commands, have) {
		t.Errorf("commands %v\nschemas  %v", commands, have)
	}
}

// TestSchemasFit compares each shape in docs/schema/defs.json with the type
// that is printed: each field has its type, and is required if it is always
// there.
func TestSchemasFit(t *testing.T) {
	text, err := schema.Defs()
	if err != nil {
		t.Fatal(err)
	}
	var defs struct {
		Defs map[string]struct {
			Required   []string
			Properties map[string]struct {
				Ref  string `json:"$ref"`
				Type string
				Enum []any
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &defs); err != nil {
		t.Fatal(err)
	}
	printed := map[string]any{
		"error": jsonError{}, "item": pages.Item{}, "total": pages.Total{}, "change": change.Change{}, "left": journal.Left{},
		"finding": hostprep.Finding{}, "fact": hostpage.Fact{}, "prepared": prepare.Result{}, "proof": proof.Proof{}, "ramPart": proof.RAMPart{}, "kvmPages": proof.KVMPages{},
		"report": launcher.Report{}, "dest": launcher.Dest{}, "destPool": launcher.DestPool{}, "destMemory": launcher.DestMemory{}, "edit": launcher.Edit{}, "stopped": launcher.Stopped{}, "resized": launcher.Resized{}, "verified": verified{},
		"collapsed": launcher.Collapsed{}, "collapseAccount": collapse.Account{}, "collapseLeft": collapse.Left{},
		"reason": advise.Reason{}, "advice": advise.Advice{}, "pool": launcher.PoolStatus{}, "mount": host.Mount{},
		"domainStatus": launcher.DomainStatus{}, "settlement": ledger.Settlement{}, "thp": host.THP{},
		"hookSettings": hook.Settings{}, "hookEvent": hook.Event{}, "hook": hook.Status{},
		"planned": plan.Guest{}, "planNeed": plan.Need{}, "planLack": plan.Lack{},
		"planSetting": plan.Setting{}, "planNode": plan.Node{}, "planMemory": plan.Memory{},
		"placed": placedGuest{}, "taken": plan.Taken{}, "refusal": plan.Refusal{}, "filled": plan.Filled{}, "unreachable": unreachableHost{},
		"versions": fleet.Versions{}, "factsDomain": fleet.Domain{}, "planHost": plan.Host{}, "planHostNode": plan.HostNode{},
		"planHostPool": pool.Pool{}, "planHostSum": plan.HostPool{}, "planHostPending": plan.HostPending{},
		"cause": cause{}, "measured": bench.Result{}, "instead": launcher.Instead{}, "planHostCommit": plan.HostCommit{},
		"reservation": ledger.Reservation{}, "reservationChange": prepare.Reservation{},
	}
	for name, def := range defs.Defs {
		if name != "failed" && def.Properties != nil && printed[name] == nil { // failed: any command's, with an error
			t.Errorf("the type of %s is not among those that are compared", name)
		}
	}
	for name, value := range printed {
		def, ok := defs.Defs[name]
		if !ok {
			t.Errorf("there is no %s", name)
			continue
		}
		var fields, always []string
		for _, field := range reflect.VisibleFields(reflect.TypeOf(value)) {
			tag, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.Anonymous || !field.IsExported() || tag == "-" {
				continue
			}
			fields = append(fields, tag)
			if options != "omitempty" && !behindPointer(reflect.TypeOf(value), field.Index) {
				always = append(always, tag)
			}
			property := def.Properties[tag]
			want := map[reflect.Kind][]string{reflect.Bool: {"boolean"}, reflect.Int: {"integer"}, reflect.Uint32: {"integer"}, reflect.Int64: {"integer"}, reflect.Float64: {"number"},
				reflect.String: {"string"}, reflect.Slice: {"array"}, reflect.Map: {"object"}}[field.Type.Kind()]
			if property.Ref == "" && property.Enum == nil && !slices.Contains(want, property.Type) && field.Type.String() != "time.Time" {
				t.Errorf("%s.%s is a %s, and %q in the schema", name, tag, field.Type, property.Type)
			}
		}
		var described []string
		for property := range def.Properties {
			described = append(described, property)
		}
		for _, lists := range [][2][]string{{fields, described}, {always, slices.Clone(def.Required)}} {
			slices.Sort(lists[0])
			slices.Sort(lists[1])
			if !slices.Equal(lists[0], lists[1]) {
				t.Errorf("%s\nprinted   %v\nin schema %v", name, lists[0], lists[1])
			}
		}
	}
}

// TestSchemasKnowAllWords finds no constant that a schema's list lacks.
func TestSchemasKnowAllWords(t *testing.T) {
	text, err := schema.Defs()
	if err != nil {
		t.Fatal(err)
	}
	type words struct{ Enum []string }
	var defs struct {
		Defs map[string]struct {
			words
			Properties map[string]words
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &defs); err != nil {
		t.Fatal(err)
	}
	lists := map[string][]string{}
	for _, dir := range []string{"launcher", "hostprep", "hostprep/advise", "hostprep/change", "hostprep/collapse", "hostprep/hook", "hostprep/ledger", "hostprep/pool", "hostprep/proof", "internal/pages", "bench"} {
		files, _ := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(node ast.Node) bool {
				if spec, ok := node.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
					kind, isType := spec.Type.(*ast.Ident)
					value, isText := spec.Values[0].(*ast.BasicLit)
					if isType && isText && value.Kind == token.STRING {
						key := dir + "." + kind.Name
						lists[key] = append(lists[key], strings.Trim(value.Value, `"`))
					}
				}
				return true
			})
		}
	}
	for _, size := range pages.HugeSizes("", false) {
		lists["hostprep/advise.Choice"] = append(lists["hostprep/advise.Choice"], string(advise.Reserved(size)))
	}
	for kind, known := range map[string][]string{
		"launcher.State": defs.Defs["state"].Enum, "internal/pages.Backing": defs.Defs["backing"].Enum, "hostprep.Verdict": defs.Defs["verdict"].Enum,
		"hostprep/advise.Choice": defs.Defs["choice"].Enum, "hostprep.Severity": defs.Defs["fact"].Properties["severity"].Enum,
		"hostprep/change.Kind": defs.Defs["change"].Properties["kind"].Enum, "hostprep/proof.Verdict": defs.Defs["proof"].Properties["verdict"].Enum,
		"hostprep/hook.Result": defs.Defs["hookEvent"].Properties["result"].Enum, "hostprep/ledger.Phase": defs.Defs["domainStatus"].Properties["claim"].Enum,
		"internal/pages.Kind": defs.Defs["item"].Properties["kind"].Enum, "internal/pages.Mode": defs.Defs["item"].Properties["mode"].Enum,
		"hostprep/collapse.Reason": defs.Defs["collapseLeft"].Properties["reason"].Enum, "hostprep/collapse.Stop": defs.Defs["collapsed"].Properties["stopped"].Enum,
		"bench.Kind": defs.Defs["measured"].Properties["pages"].Enum,
	} {
		if len(lists[kind]) == 0 {
			t.Errorf("there are no constants of %s", kind)
		}
		for _, word := range lists[kind] {
			if !slices.Contains(known, word) {
				t.Errorf("a %s may be %q, and the schema does not know it", kind, word)
			}
		}
	}
}

// behindPointer says whether a field comes from an embedded pointer, which may be
// nil.
func behindPointer(in reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		in = in.Field(i).Type
		if in.Kind() == reflect.Pointer {
			return true
		}
	}
	return false
}
