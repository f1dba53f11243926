package lab

import (
	"strings"
	"testing"

	"vmhuge/docs/session"
)

// TestServerGuide runs every command of docs/server.md, in order and with its
// reboot, and holds what it prints to what the page says. The guest has 1 GiB.
func TestServerGuide(t *testing.T) {
	pages, err := session.Pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	l := boot(t, machine{nodes: 2}) // of 4 GiB, of which the host keeps 2
	l.putVmhuge()
	l.define("db1")
	l.define("web1")
	l.Must("virsh setmaxmem db1 1GiB --config && virsh setmem db1 1GiB --config")
	for _, page := range pages {
		if page.Name != "docs/server.md" {
			continue
		}
		for _, step := range page.Steps() {
			command := strings.TrimPrefix(step.Command, "sudo ")
			if command == "reboot" {
				l.Reboot()
				continue
			}
			r := l.Run("exec 2>&1; " + command)
			t.Logf("$ %s\n%s", step.Command, r.Stdout)
			if err := step.Check(r.Stdout, r.Code); err != nil {
				t.Errorf("%s: %v", step.Command, err)
			}
		}
	}
}
