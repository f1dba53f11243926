package metrics

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/hosttest"
)

const monitoring = "../examples/monitoring"

// TestRules has Prometheus' own tool check the alerts, and try them.
func TestRules(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", "rules.yml"}, {"test", "rules", "rules_test.yml"}} {
		promtool(t, monitoring, args...)
	}
}

// TestDashboard has it parse each query of the dashboard.
func TestDashboard(t *testing.T) {
	text := read(t, filepath.Join(monitoring, "dashboard.json"))
	rules := "groups:\n- name: dashboard\n  rules:\n"
	for _, query := range queries(t, text) {
		quoted, _ := json.Marshal(strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(query))
		rules += "  - {record: query, expr: " + string(quoted) + "}\n"
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "queries.yml"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, dir, "check", "rules", "--lint=none", "queries.yml")
}

func queries(t *testing.T, dashboard string) (queries []string) {
	t.Helper()
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(dashboard), &d); err != nil {
		t.Fatal(err)
	}
	for _, panel := range d.Panels {
		if len(panel.Targets) == 0 {
			t.Errorf("the panel %q asks nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			queries = append(queries, target.Expr)
		}
	}
	return queries
}

// TestNames finds no metric in the rules, the dashboard and the guide that the
// exporter has not, and every one that it has in the guide, with the hook's operations and results.
func TestNames(t *testing.T) {
	var has []string
	for _, line := range regexp.MustCompile(`(?m)^[a-z_]+`).FindAllString(read(t, "testdata/scrape.prom"), -1) {
		if !slices.Contains(has, line) {
			has = append(has, line)
		}
	}
	guide := read(t, "../docs/monitoring.md")
	for file, text := range map[string]string{"rules": read(t, monitoring+"/rules.yml"), "dashboard": read(t, monitoring+"/dashboard.json"), "guide": guide} {
		for _, m := range regexp.MustCompile(`(?:^|[^:\w])(vmhuge_[a-z_]+)`).FindAllStringSubmatch(text, -1) { // behind a colon: a recording rule's
			if name := m[1]; !slices.Contains(has, name) && !slices.Contains(has, name+"_bucket") {
				t.Errorf("the %s: there is no %s", file, name)
			}
		}
	}
	for _, name := range has {
		if name = regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, ""); !strings.Contains(guide, "`"+name) {
			t.Errorf("the guide lacks %s", name)
		}
	}
	_, calls, _ := strings.Cut(guide, "| `vmhuge_hook_calls_total` |")
	calls, _, _ = strings.Cut(calls, "\n")
	for operation, results := range hook.Results {
		for _, word := range append([]hook.Result{hook.Result(operation)}, results...) {
			if !strings.Contains(calls, "`"+string(word)+"`") {
				t.Errorf("the guide lacks %s of vmhuge_hook_calls_total", word)
			}
		}
	}
}

func promtool(t *testing.T, dir string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		hosttest.Lacks(t, "no promtool here; run: sudo ./just deps-test, then: sudo ./just test")
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
