package hook

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/advice"
	"vmhuge/internal/hostfs"
)

// cacheKey is what this package keeps with host.Once.
type cacheKey string

// Status says whether the starts of other programs come to vmhuge.
type Status struct {
	Installed bool `json:"installed"`
	// Ready says that libvirt calls it at the next start of a guest.
	Ready        bool     `json:"ready"`
	Path         string   `json:"path,omitempty"`
	Outdated     bool     `json:"outdated"` // vmhuge has another build of it
	ReloadNeeded bool     `json:"reload_needed"`
	Settings     Settings `json:"settings"`
	// LastCall is the newest call on record since the host booted.
	LastCall *Event             `json:"last_call,omitempty"`
	Findings []hostprep.Finding `json:"findings"`
}

// ReadStatus looks at the hook.
func ReadStatus(h host.Host) (Status, error) {
	return host.Once(h, cacheKey("hook status"), func() (Status, error) { return newStatus(h) })
}

func newStatus(h host.Host) (Status, error) {
	s := Status{Findings: []hostprep.Finding{}}
	if daemon, conf := libvirtd.Contradicts(h); conf != "" {
		s.find(hostprep.Blocker, fmt.Sprintf("%s is not about the running %s, which has its configuration in %s", hostfs.LibvirtFile, daemon, conf),
			"the directories of that daemon", "rm "+hostfs.LibvirtFile+", and vmhuge hook install")
	}
	if st, err := h.Lstat(h.Root.Libvirt().ConfDir()); err != nil || st == nil {
		return s, err
	}
	file, err := Find(h, 0)
	if err != nil {
		return s, err
	}
	s.Installed = file.Ours
	if file.Ours {
		sum, err := file.sum()
		if err != nil {
			return s, err
		}
		s.Path, s.Outdated = file.Path, sum != "" && sum != sumOf(file.state)
	} else if file.state != "" {
		s.find(hostprep.Blocker, file.Path+" is not vmhuge's", "vmhuge-hook in its place", "move it out of that folder")
	}
	if err := s.judgeFiles(h); err != nil {
		return s, err
	}
	if !s.Installed {
		return s, nil
	}
	if have, need, do := tooNarrow(h); have != "" {
		s.find(hostprep.Blocker, have, need, do)
	}
	switch denied, err := Forbidden(h, s.Path); {
	case err != nil:
		s.find(hostprep.Warning, "cannot tell whether SELinux lets libvirt run the hook: "+err.Error(), "data that this check can read", advice.Refused(os.Geteuid()))
		s.Findings[len(s.Findings)-1].Verdict = hostprep.Unknown
	case denied != nil:
		denied.Do += "; or vmhuge hook remove"
		s.Findings = append(s.Findings, *denied)
	}
	if s.Outdated {
		do := "run vmhuge hook install"
		if file.linked {
			do = "nixos-rebuild switch, and systemctl restart libvirtd-config"
		}
		s.find(hostprep.Warning, "it is from another version of vmhuge", "this version's hook", do)
	}
	if s.Settings, err = ReadSettings(h); err != nil {
		s.find(hostprep.Warning, err.Error(), "settings that can be read", "fix or remove that file")
	}
	d, err := ReloadPlan(h)
	if err != nil {
		s.find(hostprep.Warning, "cannot tell whether the running "+libvirtd.Name(h)+" calls the hook: "+err.Error(), "data that this check can read", advice.Refused(os.Geteuid()))
		s.Findings[len(s.Findings)-1].Verdict = hostprep.Unknown
	} else if d != nil {
		s.ReloadNeeded = true
		s.find(hostprep.Blocker, d.LooksNoMore(), "a reload of "+d.Name, "run vmhuge hook install --reload, or systemctl reload "+d.Name)
	}
	events, err := Events(h)
	if err != nil {
		return s, err
	}
	if n := len(events); n > 0 {
		s.LastCall = &events[n-1]
	}
	_, s.Ready, _ = hostprep.Conclude(s.Findings)
	return s, nil
}

// String says in one line how the hook is.
func (s Status) String() string {
	switch {
	case !s.Installed:
		return "not installed (vmhuge hook install)"
	case slices.ContainsFunc(s.Findings, func(f hostprep.Finding) bool { return f.Cause == hostprep.HookDenied }):
		return s.Path + ", but libvirt may not run it, and no guest starts"
	case !s.Ready:
		return s.Path + ", but libvirt does not call it"
	case s.LastCall == nil:
		return s.Path + ", not called since boot"
	}
	return s.Path + ", last called at " + s.LastCall.Time.Local().Format(time.DateTime)
}

// CheckName is the name of the check of hooks: package check declares it with this.
const CheckName = "hook"

func (s *Status) find(severity hostprep.Severity, have, need, do string) {
	f := hostprep.Finding{Check: CheckName, Severity: severity, Have: have, Need: need, Do: do, Changes: []change.Change{}}
	if severity == hostprep.Blocker {
		f.Verdict = hostprep.BadHost
	}
	s.Findings = append(s.Findings, f)
}

// judgeFiles looks at what lies where libvirt looks for hooks.
func (s *Status) judgeFiles(h host.Host) error {
	files, err := Files(h)
	for _, f := range files {
		owner := fmt.Sprintf("%s is %s %d:%d", f.Path, host.ModeText(f.mode), f.uid, f.gid)
		switch {
		case f.Path == s.Path && !f.Runs:
			s.find(hostprep.Blocker, owner+": libvirt ignores a file that is not executable", "0755 0:0", "run vmhuge hook install")
		case f.Path == s.Path && change.ForeignHands(f.mode, f.uid):
			s.find(hostprep.Warning, owner+": users other than root could change what libvirt runs as root", "0755 0:0", "run vmhuge hook install")
		case f.Path != s.Path && f.Runs && isBackup(path.Base(f.Path)):
			s.find(hostprep.Warning, f.Path+" also runs at each start: libvirt runs every executable file there, whatever its name", "no copies or leftovers in that folder", "move it away")
		}
	}
	return err
}

// isBackup says whether a name is one that editors and packages give to what
// they keep or have not finished.
func isBackup(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") || strings.HasSuffix(name, "~") {
		return true
	}
	for _, end := range []string{".bak", ".old", ".orig", ".save", ".swp", ".tmp", ".new", ".disabled"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return strings.Contains(name, ".dpkg-") || strings.Contains(name, ".rpm") || strings.Contains(name, ".ucf-")
}
