package lab

import (
	"strings"
	"testing"
)

// TestMetricsUnit runs the exporter as the example's unit, under systemd's
// hardening: it sees all there is to see, keeps to this host, and ends in peace.
func TestMetricsUnit(t *testing.T) {
	l := boot(t, machine{nodes: 2})
	l.putVmhuge()
	l.Must("ln -s /usr/local/bin/vmhuge /usr/bin/vmhuge")
	l.define("tiny")
	l.Must("vmhuge enable tiny && vmhuge start tiny")
	l.Put("../../examples/monitoring/vmhuge-metrics.service", "/etc/systemd/system/vmhuge-metrics.service")
	l.Must("systemctl daemon-reload && systemctl enable --now vmhuge-metrics")
	if out := l.Run("systemd-analyze security --threshold=30 vmhuge-metrics"); out.Code != 0 { // of 100; the usual service has 96
		t.Errorf("the unit is too open:\n%s", out.Stdout)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(l.Run("systemctl status vmhuge-metrics; journalctl -u vmhuge-metrics -n 50 --no-pager").Stdout)
		}
	})
	const scrape = `exec 3<>/dev/tcp/127.0.0.1/9981; printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3; cat <&3`
	l.Must("for i in {1..600}; do (" + scrape + ") &>/dev/null && break; sleep 0.2; done")
	page := l.Must(scrape) + "\n"
	for _, want := range []string{
		`vmhuge_guest_huge_pages_ratio{guest="tiny"} 1`,
		`vmhuge_guest_ram_bytes{backing="hugetlb",guest="tiny",page_size_bytes="2097152"} 1.00663296e+08`,
		`vmhuge_claims{phase="in-use"} 1`,
		`vmhuge_hook_installed 0`,
		`vmhuge_scrape_success{collector="claims"} 1`,
		`vmhuge_scrape_success{collector="guests"} 1`,
		`vmhuge_scrape_success{collector="hook"} 1`,
		`vmhuge_scrape_success{collector="pools"} 1`,
	} {
		if !strings.Contains(page, "\n"+want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
	l.Must("systemctl stop vmhuge-metrics")
	if result := l.Must("systemctl show -P Result vmhuge-metrics"); strings.TrimSpace(result) != "success" {
		t.Errorf("it ended with %s", result)
	}
	l.Must("vmhuge stop --force --timeout 0s tiny")
}
