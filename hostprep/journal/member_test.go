package journal

import (
	"strings"
	"testing"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// The tools say themselves what they miss; without them it is said for them.
func TestChangeOfMembersFails(t *testing.T) {
	hosttest.NeedRoot(t)
	h := host.Host{Root: "/"}
	for change, want := range map[change.Change]string{
		change.NewMember("nobody", "vmhuge-none"): "vmhuge-none",
		change.NewMember("vmhuge-none", "daemon"): "vmhuge-none",
		change.NewMember("-nobody", "daemon"):     "no name of a user or group",
	} {
		if err := Apply(h, change); err == nil || !strings.Contains(strings.TrimPrefix(err.Error(), change.String()), want) {
			t.Errorf("%s: %v", change, err)
		}
	}
	t.Setenv("PATH", "")
	nobody := change.NewMember("nobody", "daemon")
	if err := Apply(h, nobody); err == nil || !strings.Contains(err.Error(), "gpasswd, usermod and adduser are not installed: install one, or edit the members of daemon in /etc/group for nobody") {
		t.Errorf("without tools: %v", err)
	}
}
