package boot

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
)

// The unit that gets the table's pages and folders at boot, before libvirt
// starts guests: for pages of one node, and of sizes other than the default,
// sysctl has no name.
const (
	serviceFile = "/etc/systemd/system/vmhuge.service"
	serviceLink = "/etc/systemd/system/multi-user.target.wants/vmhuge.service"
)

// ServiceText is the unit. program is vmhuge itself.
func ServiceText(program string) string {
	return fmt.Sprintf(Kept+`[Unit]
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

// Program is this program, as it may stand in a unit: where root alone may
// change it.
func Program(h host.Host) (string, *hostprep.Finding, error) {
	if !h.Real() {
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
		st, err := h.Lstat(at)
		if err != nil || st == nil {
			return "", nil, cmp.Or(err, fs.ErrNotExist)
		}
		if change.ForeignHands(st.Mode, st.Uid, st.Gid) {
			return "", &hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Have: at + " is " + host.OwnerText(st) + ": others than root could change what root runs",
				Need: "vmhuge where root alone may write, for the unit that runs it at boot", Do: "install it in /usr/local/bin, and run it from there"}, nil
		}
		if at == "/" {
			return self, nil, nil
		}
	}
}

// ServicePlan has the unit there while the table has something for it.
func ServicePlan(h host.Host, table Table, program string) ([]change.Change, error) {
	if table.Text() == "" {
		file, err := change.FilePlan(h, serviceFile, "")
		if err != nil {
			return nil, err
		}
		link, err := change.LinkPlan(h, serviceLink, "")
		return append(link, file...), err
	}
	file, err := change.FilePlan(h, serviceFile, ServiceText(program))
	if err != nil {
		return nil, err
	}
	link, err := change.LinkPlan(h, serviceLink, "../vmhuge.service")
	return append(file, link...), err
}
