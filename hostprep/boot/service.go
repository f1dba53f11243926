package boot

import (
	"cmp"
	_ "embed"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
)

// The unit that adds the table's pages and makes its folders at boot, before libvirt
// starts guests. sysctl can't: it has no setting for pages of one node, nor of a size
// other than the default.
const (
	serviceFile = "/etc/systemd/system/vmhuge.service"
	serviceLink = "/etc/systemd/system/multi-user.target.wants/vmhuge.service"
)

//go:embed vmhuge.service
var service string

// ServiceText is the unit. program is vmhuge itself, and folders are those that it makes.
func ServiceText(program string, folders ...Folder) string {
	paths := append([]string{"/run"}, mountsOf(folders)...)
	return Kept + strings.NewReplacer("@PROGRAM@", program, "@PATHS@", strings.Join(paths, " ")).Replace(service)
}

// mountsOf are the places of folders outside /dev, as a unit has a list of paths; with the minus,
// one that is not there is no error.
func mountsOf(folders []Folder) (paths []string) {
	for _, folder := range folders {
		if in := path.Dir(folder.Path); !strings.HasPrefix(in, "/dev/") && !strings.Contains(in, "\n") {
			paths = append(paths, `"-`+unitPath.Replace(in)+`"`)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// unitPath writes a path as a unit has it between quotes.
var unitPath = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`)

// findProgram returns the path of this program for a unit of root's. It is refused where
// somebody else than root could change it.
func findProgram(h host.Host) (string, *hostprep.Finding, error) {
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
		if change.ForeignHands(st.Mode, st.Uid) {
			return "", &hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Have: at + " is " + host.OwnerText(st) + ": users other than root could change what root runs",
				Need: "vmhuge in a folder that only root can write to, because systemd runs it at boot", Do: "install it in such a folder, usually /usr/local/bin, and run it from there; or " + change.RootsAlone(at, st)}, nil
		}
		if at == "/" {
			return self, nil, nil
		}
	}
}

// servicePlan makes the unit, or removes it if the table is empty.
func servicePlan(h host.Host, table Table, program string) ([]change.Change, error) {
	if table.Text() == "" {
		file, err := change.FilePlan(h, serviceFile, "")
		if err != nil {
			return nil, err
		}
		link, err := change.LinkPlan(h, serviceLink, "")
		return append(link, file...), err
	}
	file, err := change.FilePlan(h, serviceFile, ServiceText(program, table.Folders...))
	if err != nil {
		return nil, err
	}
	link, err := change.LinkPlan(h, serviceLink, "../vmhuge.service")
	return append(file, link...), err
}
