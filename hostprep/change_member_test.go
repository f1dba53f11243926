package hostprep

import (
	"strings"
	"testing"
)

// The tools say themselves what they miss; without them it is said for them.
func TestChangeOfMembersFails(t *testing.T) {
	needRoot(t)
	h := Host{Root: "/"}
	for change, want := range map[Change]string{
		memberChange("nobody", "vmhuge-none"): "vmhuge-none",
		memberChange("vmhuge-none", "daemon"): "vmhuge-none",
		memberChange("-nobody", "daemon"):     "no name of a user or group",
	} {
		if err := change.Apply(h); err == nil || !strings.Contains(strings.TrimPrefix(err.Error(), change.String()), want) {
			t.Errorf("%s: %v", change, err)
		}
	}
	t.Setenv("PATH", "")
	nobody := memberChange("nobody", "daemon")
	if err := nobody.Apply(h); err == nil || !strings.Contains(err.Error(), "there is no gpasswd, nor what could stand for it; edit the members of daemon in /etc/group for nobody") {
		t.Errorf("without tools: %v", err)
	}
}
