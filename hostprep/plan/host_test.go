package plan

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// A host that was recorded as JSON is the host that was read.
func TestRecordedHost(t *testing.T) {
	for _, name := range []string{"one-node", "two-nodes", "node0-full"} {
		h := host.Host{Root: hosttest.Unpack(t, name, "")}
		read, err := ReadHost(h, 0)
		hosttest.Must(t, err)
		text, err := json.Marshal(read)
		hosttest.Must(t, err)
		var recorded Host
		hosttest.Must(t, json.Unmarshal(text, &recorded))
		live, err := rehearse(h, 0)
		hosttest.Must(t, err)
		r := recorded.rehearsal()
		if diff := cmp.Diff(live.state, r.state); diff != "" || !cmp.Equal(live.nodes, r.nodes) || live.total != r.total || live.available != r.available || live.small != r.small || live.reserve-r.reserve >= 1024 {
			t.Errorf("%s: %s\n%+v\n%+v", name, diff, live, r)
		}
	}
}
