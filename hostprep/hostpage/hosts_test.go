package hostpage

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

const hostsFile = "testdata/hosts.txt"

var update = flag.Bool("update", false, "write what is said of the hosts of "+hostsFile+" anew")

// TestHosts reads testdata/hosts.txt: what an edit of a host on which all is well makes
// check say of who holds pages, which lie idle, who else sets the pools, and what is
// written in vain. Behind "-- want --" are the lines that are new, but for the counts
// of the pools.
func TestHosts(t *testing.T) {
	all, err := os.ReadFile(hostsFile)
	if err != nil {
		t.Fatal(err)
	}
	lines := func(edit string) []string {
		return factLines(t, Facts(host.Host{Root: hosttest.Unpack(t, "one-node", plainHost+edit)}, Libvirt{}))
	}
	well := lines("")
	var written strings.Builder
	blocks := strings.Split("\n"+string(all), "\n== ")[1:]
	for _, block := range blocks {
		name, rest, _ := strings.Cut(block, "\n")
		edit, want, _ := strings.Cut(rest, "-- want --")
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, line := range lines(edit) {
				count := slices.ContainsFunc([]string{"ok pool ", "ok node ", "ok headroom: "}, func(p string) bool { return strings.HasPrefix(line, p) })
				if !count && !slices.Contains(well, line) {
					got = append(got, line)
				}
			}
			text := strings.Join(got, "\n")
			written.WriteString("== " + name + "\n" + edit + "-- want --\n" + strings.TrimSuffix(text+"\n", "\n") + "\n")
			if !*update && text != strings.TrimSpace(want) {
				t.Errorf("got:\n%s\nwant:\n%s", text, want)
			}
		})
	}
	if len(blocks) < 30 {
		t.Errorf("%d hosts are read", len(blocks))
	}
	if *update {
		if err := os.WriteFile(hostsFile, []byte(written.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
