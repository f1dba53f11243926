package hostprep

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// The unit that gets the table's pages and folders at boot, before libvirt
// starts guests: for pages of one node, and of sizes other than the default,
// sysctl has no name.
const (
	serviceFile = "/etc/systemd/system/vmhuge.service"
	serviceLink = "/etc/systemd/system/multi-user.target.wants/vmhuge.service"
)

// serviceText is the unit. program is vmhuge itself.
func serviceText(program string) string {
	return fmt.Sprintf(kept+`[Unit]
Description=Huge pages for libvirt guests
Documentation=man:vmhuge(1)
After=systemd-sysctl.service local-fs.target dev-hugepages.mount
Before=libvirtd.service virtqemud.service libvirt-guests.service
# A package that is gone is no reason for a host to be degraded.
ConditionFileIsExecutable=%[1]s

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=%[1]s prepare --boot

[Install]
WantedBy=multi-user.target
`, program)
}

// bootProgram is this program, as it may stand in a unit: where root alone may
// change it.
func (h Host) bootProgram() (string, *Finding, error) {
	if !h.real() {
		return "/usr/bin/vmhuge", nil, nil
	}
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return "", nil, err
	}
	for at := self; ; at = path.Dir(at) {
		st, err := h.lstat(at)
		if err != nil || st == nil {
			return "", nil, cmp.Or(err, fs.ErrNotExist)
		}
		if foreignHands(st.Mode, st.Uid, st.Gid) {
			return "", &Finding{Severity: Blocker, Verdict: BadHost, Have: at + " is " + ownerText(st) + ": others than root could change what root runs",
				Need: "vmhuge where root alone may write, for the unit that runs it at boot", Do: "install it in /usr/local/bin, and run it from there"}, nil
		}
		if at == "/" {
			return self, nil, nil
		}
	}
}
