package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"libvirt.org/go/libvirt"

	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

// TestMetrics has a real Prometheus scrape the real exporter, with a guest that
// the hook got pages for, and asks it each query of the dashboard and the rules.
func TestMetrics(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 8)
	installHook(t)
	dom := define(t, guest{backing: pages2M})
	plain := define(t, guest{name: guestPrefix + "plain"})
	startPaused(t, dom)
	startPaused(t, plain)
	name := nameOf(t, dom)
	uuid, err := dom.GetUUIDString()
	if err != nil {
		t.Fatal(err)
	}
	address, stop := serveMetrics(t)

	page := scrape(t, address)
	for _, want := range []string{
		fmt.Sprintf(`vmhuge_guest_info{backing="hugetlb",guest=%q,uuid=%q} 1`, name, uuid),
		fmt.Sprintf(`vmhuge_guest_running{guest=%q} 1`, name),
		fmt.Sprintf(`vmhuge_guest_huge_pages_ratio{guest=%q} 1`, name),
		fmt.Sprintf(`vmhuge_guest_ram_bytes{backing="hugetlb",guest=%q,page_size_bytes="2097152"} %v`, name, float64(64*pages.MiB)),
		fmt.Sprintf(`vmhuge_guest_demand_pages{guest=%q,page_size_bytes="2097152"} 32`, name),
		fmt.Sprintf(`vmhuge_guest_huge_pages_ratio{guest=%q} 0`, nameOf(t, plain)),
		fmt.Sprintf(`vmhuge_claim_pages{guest=%q,node="0",page_size_bytes="2097152",phase="in-use"} 24`, name),
		`vmhuge_pool_pages{node="0",page_size_bytes="2097152",state="used"} 32`,
		`vmhuge_pool_pages{node="0",page_size_bytes="2097152",state="free"} 0`,
		`vmhuge_hook_installed 1`,
		`vmhuge_hook_ready 1`,
		`vmhuge_hook_calls_total{operation="prepare",result="held"} 1`,
		`vmhuge_hook_calls_total{operation="prepare",result="passed"} 1`,
		`vmhuge_scrape_success{collector="guests"} 1`,
	} {
		if !strings.Contains(page, "\n"+want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}
	if t.Failed() {
		t.Log(page)
	}

	api := startPrometheus(t, address)
	waitUntil(t, "Prometheus has scraped twice", func() bool {
		return len(ask(t, api, `count_over_time(vmhuge_build_info[1h]) >= 2`)) == 1
	})
	for panel, query := range dashboardQueries(t) {
		if len(ask(t, api, strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*").Replace(query))) == 0 {
			t.Errorf("%s shows nothing: %s", panel, query)
		}
	}
	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	waitUntil(t, "Prometheus has evaluated the rules", func() bool {
		getJSON(t, api+"/rules", &rules)
		return len(rules.Data.Groups) == 2 && rules.Data.Groups[0].Rules[0].Health != "unknown" && rules.Data.Groups[1].Rules[0].Health != "unknown"
	})
	for _, rule := range append(rules.Data.Groups[0].Rules, rules.Data.Groups[1].Rules...) {
		if rule.Health != "ok" {
			t.Errorf("%s: %s %s", rule.Name, rule.Health, rule.LastError)
		}
	}

	var crowd sync.WaitGroup
	for range 20 {
		crowd.Add(1)
		go func() {
			defer crowd.Done()
			if response, err := http.Get("http://" + address + "/metrics"); err != nil || response.StatusCode != http.StatusOK {
				t.Errorf("one of many scrapes: %v, %v", response, err)
			} else {
				response.Body.Close()
			}
		}()
	}
	crowd.Wait()

	// libvirtd stops and starts again; metrics that do not need it are there meanwhile.
	if err := libvirtd.stopLibvirtd(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "a scrape misses libvirtd", func() bool {
		page = scrape(t, address)
		return strings.Contains(page, `vmhuge_scrape_success{collector="guests"} 0`)
	})
	if !strings.Contains(page, `state="used"} 32`) || strings.Contains(page, "\nvmhuge_guest_") {
		t.Errorf("without libvirtd:\n%s", page)
	}
	if err := libvirtd.startLibvirtd(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "a scrape finds the guest again", func() bool {
		return strings.Contains(scrape(t, address), fmt.Sprintf(`vmhuge_guest_huge_pages_ratio{guest=%q} 1`, name))
	})
	if said := stop(); !strings.HasPrefix(said, "vmhuge: guests: connecting to ") || strings.Count(said, "\n") != 1 {
		t.Errorf("on standard error: %q", said)
	}

	// A guest whose QEMU was killed is no failure, and its pages are still owed:
	// a scrape settles nothing.
	dom = lookup(t, name)
	defer dom.Free()
	if err := os.RemoveAll(hookDir); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pidOf(t, dom), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "libvirtd has seen the end of its guest", func() bool {
		state, _, err := dom.GetState()
		return err == nil && state == libvirt.DOMAIN_SHUTOFF
	})
	file := filepath.Join(t.TempDir(), "vmhuge.prom")
	if r := vmhuge(t, "metrics", "--textfile", file); r != (result{}) {
		t.Errorf("--textfile: %+v", r)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`vmhuge_claims{phase="owed"} 1`, fmt.Sprintf(`vmhuge_guest_running{guest=%q} 0`, name), `vmhuge_scrape_success{collector="guests"} 1`} {
		if !strings.Contains(string(text), want+"\n") {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	wantClaims(t, name+" owed")
	done(t, "status") // gives back
}

// serveMetrics starts the exporter. stop ends it as systemd does, wants it to go
// in peace, and returns what it said on standard error.
func serveMetrics(t *testing.T) (address string, stop func() string) {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.Command(filepath.Join(scratch, "bin", "vmhuge"), "metrics", "--listen", "0")
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	t.Cleanup(func() {
		if !ended {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the exporter: %v", err)
	}
	address = strings.TrimSuffix(strings.TrimPrefix(line, "serving http://"), "/metrics\n")
	return address, func() string {
		ended = true
		_ = cmd.Process.Signal(unix.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("after SIGTERM: %v", err)
		}
		return stderr.String()
	}
}

func scrape(t *testing.T, address string) string {
	t.Helper()
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return "\n" + string(text)
}

// startPrometheus has one scrape the exporter with the example's rules, until
// the end of the test, and returns where its API is.
func startPrometheus(t *testing.T, address string) string {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		hosttest.Lacks(t, "no prometheus here; run: sudo ./just deps-test, then: sudo ./just test")
	}
	rules, err := filepath.Abs("../examples/monitoring/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: vmhuge
    static_configs: [{targets: [%q]}]
`, rules, address)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := free.Addr().String()
	free.Close()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+own)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("prometheus said:\n%s", text)
		}
	})
	waitUntil(t, "prometheus is ready", func() bool {
		response, err := http.Get("http://" + own + "/-/ready")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return "http://" + own + "/api/v1"
}

// ask asks Prometheus a query, and wants it to be understood.
func ask(t *testing.T, api, query string) []json.RawMessage {
	t.Helper()
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	getJSON(t, api+"/query?query="+url.QueryEscape(query), &answer)
	if answer.Status != "success" {
		t.Errorf("%s: %s", query, answer.Error)
	}
	return answer.Data.Result
}

func getJSON(t *testing.T, url string, to any) {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(to); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
}

// dashboardQueries returns what each panel of the dashboard asks.
func dashboardQueries(t *testing.T) map[string]string {
	t.Helper()
	queries := map[string]string{}
	text, err := os.ReadFile("../examples/monitoring/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ RefID, Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries[panel.Title+" "+target.RefID] = target.Expr
		}
	}
	return queries
}
