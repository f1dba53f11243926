package metrics

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-jsonnet"
)

// TestMixin renders the mixin with a job of another name: Prometheus takes what comes out, and
// it is what the files beside it have.
func TestMixin(t *testing.T) {
	vm := jsonnet.MakeVM()
	vm.Importer(&jsonnet.FileImporter{JPaths: []string{monitoring}})
	text, err := vm.EvaluateAnonymousSnippet("user.jsonnet", `
		local mixin = (import 'mixin.libsonnet') { _config+:: { job: 'hosts' } };
		{ alerts: mixin.prometheusAlerts, rules: mixin.prometheusRules, dashboards: mixin.grafanaDashboards }`)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Alerts, Rules json.RawMessage
		Dashboards    map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, rules := range map[string][]byte{"alerts.yml": got.Alerts, "rules.yml": got.Rules} { // JSON is YAML
		if err := os.WriteFile(filepath.Join(dir, name), rules, 0o600); err != nil {
			t.Fatal(err)
		}
		promtool(t, dir, "check", "rules", name)
	}
	all := read(t, monitoring+"/rules.yml")
	for _, row := range []struct {
		key  string
		text json.RawMessage
	}{{"alert", got.Alerts}, {"record", got.Rules}} {
		if n, want := strings.Count(string(row.text), `"`+row.key+`":`), strings.Count(all, "- "+row.key+": "); n != want || n == 0 {
			t.Errorf("%d of %d %ss", n, want, row.key)
		}
	}
	if alerts := string(got.Alerts); !strings.Contains(alerts, `up{job=\"hosts\"} == 0`) || strings.Contains(alerts, `job=\"vmhuge\"`) {
		t.Errorf("the job has its own name: %s", alerts)
	}
	if queries(t, string(got.Dashboards["vmhuge.json"])) == nil {
		t.Error("the dashboard asks nothing")
	}
}
