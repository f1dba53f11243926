package integration

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/hostpage"
)

// hostLines is what vmhuge check says of the host alone, by the names of its
// lines, and its exit code. Those of one name are joined.
func hostLines(t *testing.T) (map[string]string, int) {
	t.Helper()
	r := vmhuge(t, "check", "--json")
	var answer struct{ Host []hostpage.Fact }
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil {
		t.Fatalf("check: %v\n%s%s", err, r.Stdout, r.Stderr)
	}
	lines := map[string]string{}
	for _, f := range answer.Host {
		lines[f.Name] += fmt.Sprintf("%s %s\n", f.Severity, f.Have)
	}
	return lines, r.Code
}

// hostSays runs check on the host alone, and wants an exit code and these words
// in the lines of these names.
func hostSays(t *testing.T, code int, want map[string]string) {
	t.Helper()
	lines, got := hostLines(t)
	for name, words := range want {
		if !strings.Contains(lines[name], words) {
			t.Errorf("%s: %q, not %q", name, lines[name], words)
		}
	}
	if got != code {
		t.Errorf("it exits with %d: %v", got, lines)
	}
}

// TestCheckHost holds what check says of the host alone to what the kernel and
// libvirtd say, as the host is and when it is broken.
func TestCheckHost(t *testing.T) {
	hostAsBefore(t)
	version, err := libvirtd.conn.GetLibVersion()
	if err != nil {
		t.Fatal(err)
	}
	qemu, err := libvirtd.conn.GetVersion() // libvirtd knows it from now on
	if err != nil {
		t.Fatal(err)
	}
	_, thp, _ := strings.Cut(readTHP(t, "enabled"), "[")
	thp, _, _ = strings.Cut(thp, "]")
	hostSays(t, 0, map[string]string{
		"libvirt":   fmt.Sprintf("ok %d.%d.%d, %s (process %d) has been running since", version/1000000, version/1000%1000, version%1000, libvirtdName, libvirtd.libvirtd.Process.Pid),
		"hugetlbfs": "ok " + mount2M + " (2 MiB)\n",
		"THP":       "ok " + thp + ", defrag ",
		"hook":      "ok not installed",
	})

	dotted := fmt.Sprintf("ok %d.%d.%d\n", qemu/1000000, qemu/1000%1000, qemu%1000)
	waitUntil(t, "check knows the version "+dotted, func() bool { lines, _ := hostLines(t); return lines["QEMU"] == dotted })

	t.Run("pages", func(t *testing.T) {
		hostAsBefore(t)
		setPages(t, 0, size2M, 5)
		otherMount("pagesize=2M,min_size=4M,mode=03352")(t) // reserves two of them
		p := readTestPools(t)[size2M]
		if p.Reserved < 2 {
			t.Fatalf("%+v", p)
		}
		var total, free int
		for _, node := range p.Nodes {
			total, free = total+node.Total, free+node.Free
		}
		hostSays(t, 0, map[string]string{
			"pool 2 MiB": fmt.Sprintf(" %d pages, %d free, %d of them reserved, 0 surplus", total, free, p.Reserved),
			"node 0":     fmt.Sprintf("ok %d of %d pages of 2 MiB are free\n", p.Nodes[0].Free, p.Nodes[0].Total),
			"hugetlbfs":  "warning /run/hugepages-other has the mode 1352, which is 1770 written in decimal by mistake\nnote /run/hugepages-other is mounted with min_size=4194304: 4 MiB reserved for files on it",
		})
	})
	t.Run("THP", func(t *testing.T) {
		setTHP(t, "enabled", "never")
		hostSays(t, 0, map[string]string{"THP": "warning transparent huge pages are off: enabled is never"})
	})
	t.Run("read-only", func(t *testing.T) {
		hostAsBefore(t)
		remount(mount2M, unix.MS_RDONLY)(t)
		hostSays(t, 3, map[string]string{"hugetlbfs": "blocker " + mount2M + " is mounted read-only"})
		if r := vmhuge(t, "check", "-q"); r.Code != 3 || !strings.Contains(r.Stdout, "blocker  hugetlbfs") || strings.Contains(r.Stdout, "ok  ") {
			t.Errorf("quiet: %+v", r)
		}
	})
	t.Run("user", func(t *testing.T) {
		hostAsBefore(t)
		file(qemuConf, "user = \"nobody-of-this-name\"\n", 0o600)(t)
		hostSays(t, 3, map[string]string{"QEMU user": "blocker no such user: nobody-of-this-name"})
	})
}
