package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/hostfs"
)

const uuid = "6695eb01-f6a4-8304-79aa-97f2502e193f"

// fixture unpacks testdata/host.txtar. The hook serves nobody but root.
func fixture(t *testing.T) host.Host {
	t.Helper()
	hosttest.NeedRoot(t)
	host := host.Host{Root: hostfs.Root(t.TempDir())}
	archive, err := txtar.ParseFile(filepath.Join("testdata", "host.txtar"))
	must(t, err)
	for _, f := range archive.Files {
		write(t, host, f.Name, string(f.Data))
	}
	write(t, host, fmt.Sprintf("proc/%d/stat", os.Getppid()), "1 (libvirtd) S 1 1 1 0 -1 1 1 1 1 1 1 1 1 1 20 0 1 0 777 1 1\n")
	write(t, host, fmt.Sprintf("proc/%d/comm", os.Getppid()), "libvirtd\n")
	write(t, host, "proc/1/stat", "1 (systemd) S 0 1 1 0 -1 1 1 1 1 1 1 1 1 1 20 0 1 0 2 1 1\n")
	must(t, os.MkdirAll(host.Root.Path("dev/hugepages/libvirt/qemu"), 0o755))
	return host
}

func write(t *testing.T, host host.Host, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(host.Root.Path(path)), 0o755))
	must(t, os.WriteFile(host.Root.Path(path), []byte(text), 0o644))
}

// traces lists what the hook wrote below /run/vmhuge and /var, but the log.
func traces(t *testing.T, host host.Host) string {
	t.Helper()
	var paths []string
	for _, dir := range []string{"run/vmhuge", "var"} {
		err := filepath.WalkDir(host.Root.Path(dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && d.Name() != "hook.log" {
				path, err = filepath.Rel(host.Root.Path(), path)
				paths = append(paths, path)
			}
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return strings.Join(paths, " ")
}

// lastEvent is the last line of the hook's log; a zero one for none.
func lastEvent(t *testing.T, host host.Host) hook.Event {
	t.Helper()
	events, err := hook.Events(host)
	must(t, err)
	if len(events) == 0 {
		return hook.Event{}
	}
	return events[len(events)-1]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answer is what a call gave.
type answer struct {
	code           int
	stdout, stderr string
}

// hook calls the hook as libvirtd does: runHook(t, host, xml, "web1", "prepare", "begin").
func runHook(host host.Host, document string, args ...string) answer {
	var stdout, stderr strings.Builder
	args = append(append([]string{"/etc/libvirt/hooks/qemu.d/90-vmhuge"}, args...), "-")
	code := run(host, args, strings.NewReader(document), &stdout, &stderr)
	return answer{code, stdout.String(), stderr.String()}
}

// domain is a domain XML that asks for so many pages of 2 MiB.
func domain(pages int) string {
	return fmt.Sprintf(`<domain type='qemu' id='7'>
  <name>web1</name>
  <uuid>%s</uuid>
  <memory unit='MiB'>%d</memory>
  <memoryBacking>
    <hugepages>
      <page size='2048' unit='KiB'/>
    </hugepages>
  </memoryBacking>
  <devices/>
</domain>
`, uuid, 2*pages)
}
