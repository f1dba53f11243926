package schema

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// answers are real ones, whole.
var answers = map[string]string{
	"check": `{"version":1,"domains":[{"name":"web1","uuid":"6695eb01-f6a4-8304-79aa-97f2502e193f","state":"shut off","backing":"hugetlb","verdict":"no-memory","ready":false,"fixable":true,
		"demand":[{"guest_node":-1,"kind":"ram","page_size_kib":2048,"pages":32,"memory_kib":65536,"host_nodes":"","mode":"","source":"file"}],
		"totals":[{"page_size_kib":2048,"pages":32,"memory_kib":65536}],
		"findings":[{"check":"pool","severity":"blocker","have":"0 of 0 pages of 2 MiB are free","need":"32 pages of 2 MiB","do":"vmhuge start allocates them","fixable":true,
			"changes":[{"kind":"pool","path":"/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages","from":"0","to":"32"}]}],
		"changed":[]}]}`,
	"verify": `{"version":1,"domains":[{"name":"web1","uuid":"6695eb01-f6a4-8304-79aa-97f2502e193f","state":"running","ram_kib":65536,"hugetlb_kib":{"2048":65536},"thp_kib":0,"small_kib":0,
		"by_node":{"0":65536},"backed_percent":100,"verdict":"all-huge","evidence":["/proc/7/status"],"reserved_kib":0,"untouched_kib":0,"preallocated":true,"aligned":true,
		"parts":[{"address":"7f2e00000000","kib":65536,"page_kib":2048,"huge_kib":65536,"aligned":true}]}]}`,
	"status": `{"version":1,"pools":[{"node":0,"page_size_kib":2048,"total":32,"free":0,"surplus":0,"reserved":0,"held_by_us":32}],"mounts":[{"point":"/dev/hugepages","page_size_kib":2048}],
		"domains":[{"name":"web1","uuid":"6695eb01-f6a4-8304-79aa-97f2502e193f","state":"running","ram_kib":0,"backing":"none","totals":[]}],"settled":[],
		"hook":{"installed":false,"ready":false,"outdated":false,"reload_needed":false,"settings":{},"findings":[]},"thp":{"enabled":"madvise","defrag":"madvise","shmem_enabled":"never"}}`,
	"xml-demand": `{"version":1,"domain":"web1","uuid":"","type":"kvm","backing":"hugetlb","totals":[{"page_size_kib":0,"pages":-1,"memory_kib":65536}],
		"demand":[{"guest_node":0,"kind":"cell","page_size_kib":0,"pages":-1,"memory_kib":65536,"host_nodes":"0-1","mode":"strict","source":"memfd"}]}`,
	"error": `{"version":1,"error":{"what":"starting web1","why":"it does not run","do":""}}`,
}

// TestStrict takes from an answer each field in turn, makes it null, a list or a
// text, and adds one that is not described: no schema lets that pass.
func TestStrict(t *testing.T) {
	for command, answer := range answers {
		command := strings.Replace(command, "error", "", 1)
		if err := Check(command, 1, []byte(answer)); err != nil {
			t.Errorf("%s: %v", command, err)
		}
		broken := 0
		spoil(answer, func(what, spoilt string) {
			broken++
			if Check(command, 1, []byte(spoilt)) == nil {
				t.Errorf("%s: %s is let pass", command, what)
			}
		})
		if broken < 10 {
			t.Errorf("%s: only %d ways to break it", command, broken)
		}
	}
}

// spoil hands on the answer with one thing wrong, for each there is.
func spoil(answer string, try func(what, spoilt string)) {
	var whole any
	_ = json.Unmarshal([]byte(answer), &whole)
	say := func(what string) {
		text, _ := json.Marshal(whole)
		try(what, string(text))
	}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		switch v := value.(type) {
		case []any:
			for _, item := range v {
				walk(path+"[]", item)
			}
		case map[string]any:
			if path == ".settings" || strings.HasSuffix(path, "_kib") || strings.HasSuffix(path, ".by_node") {
				return // maps, and an object of options
			}
			v["surprise"] = 1
			say(path + ".surprise")
			delete(v, "surprise")
			for _, key := range slices.Sorted(maps.Keys(v)) {
				was := v[key]
				delete(v, key)
				say("no " + path + "." + key)
				for _, wrong := range []any{nil, []any{[]any{}}, map[string]any{"": []any{}}} {
					v[key] = wrong
					say(path + "." + key + " of another type")
				}
				v[key] = was
				walk(path+"."+key, was)
			}
		}
	}
	walk("", whole)
}

// TestOpen lets a user's validator meet fields that are new.
func TestOpen(t *testing.T) {
	text, err := Defs()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(Commands(), "error") {
		file, err := files.ReadFile(name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, file...)
	}
	for _, word := range []string{`"additionalProperties": false`, "unevaluatedProperties"} {
		if strings.Contains(string(text), word) {
			t.Errorf("a schema has %s: a field that is added would break its users", word)
		}
	}
}

func TestCommand(t *testing.T) {
	for line, want := range map[string]string{
		"check web1": "check", "-q hook install --reload": "hook-install", "hook": "", "xml demand -": "xml-demand",
		"-c qemu:///system start web1": "start", "": "", "metrics": "", "explain hook status": "explain",
	} {
		if got := Command(strings.Fields(line)); got != want {
			t.Errorf("%s: %q", line, got)
		}
	}
}

func TestCheckRun(t *testing.T) {
	const failed = `{"version":1,"error":{"what":"","why":"no","do":""}}`
	for name, test := range map[string]struct {
		args           string
		code           int
		stdout, stderr string
		fine           bool
	}{
		"text":             {"check", 0, "ready", "", true},
		"behind the end":   {"enable -- --json", 0, "text", "", true},
		"not JSON":         {"check --json", 0, "ready", "", false},
		"two objects":      {"check --json", 1, failed + failed, "", false},
		"an error":         {"check --json", 1, failed, "", true},
		"an error, code 0": {"check --json", 0, failed, "", false},
		"no command":       {"--json chek", 2, failed, "", true},
		"an error in text": {"--json chek", 2, "vmhuge: no", "", false},
		"help":             {"--json", 0, "vmhuge: …", "", true},
		"QEMU's streams":   {"exec --json -- qemu", 1, "boot", "vmhuge: hm\n" + failed + "\n", true},
		"nothing of exec":  {"exec --json -- qemu", 1, "boot", "vmhuge: hm\n", false},
	} {
		if err := CheckRun(strings.Fields(test.args), test.code, test.stdout, test.stderr); (err == nil) != test.fine {
			t.Errorf("%s: %v", name, err)
		}
	}
}
