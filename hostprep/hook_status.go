package hostprep

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// HookStatus says whether the starts of other programs come to vmhuge.
type HookStatus struct {
	Installed bool `json:"installed"`
	// Ready says that libvirt calls it at the next start of a guest.
	Ready        bool         `json:"ready"`
	Path         string       `json:"path,omitempty"`
	Outdated     bool         `json:"outdated"` // vmhuge has another build of it
	ReloadNeeded bool         `json:"reload_needed"`
	Settings     HookSettings `json:"settings"`
	// LastCall is the newest call on record since the host booted.
	LastCall *HookEvent `json:"last_call,omitempty"`
	Findings []Finding  `json:"findings"`
}

// HookStatus looks at the hook.
func (h Host) HookStatus() (HookStatus, error) {
	return once(h, "hook status", func() (HookStatus, error) { return h.hookStatus() })
}

func (h Host) hookStatus() (HookStatus, error) {
	s := HookStatus{Findings: []Finding{}}
	if st, err := h.lstat("/etc/libvirt"); err != nil || st == nil {
		return s, err
	}
	file, err := h.findHook(0)
	if err != nil {
		return s, err
	}
	s.Installed = file.ours
	if file.ours {
		s.Path, s.Outdated = file.path, file.sum != "" && file.sum != sumOf(file.state)
	} else if file.state != "" {
		s.find(Blocker, file.path+" is none of vmhuge's", "vmhuge-hook in its place", "move it out of that folder")
	}
	if err := s.judgeFiles(h); err != nil {
		return s, err
	}
	if !s.Installed {
		return s, nil
	}
	if s.Outdated {
		s.find(Warning, "it is not the one that comes with this vmhuge", "the same version", "run vmhuge hook install")
	}
	if s.Settings, err = h.HookSettings(); err != nil {
		s.find(Warning, err.Error(), "settings that can be read", "mend that file or remove it")
	}
	d, err := h.HookReload()
	if err != nil {
		s.find(Warning, "could not tell whether the running libvirtd calls it: "+err.Error(), "to be able to look", "run vmhuge as root")
		s.Findings[len(s.Findings)-1].Verdict = Unknown
	} else if d != nil {
		s.ReloadNeeded = true
		s.find(Blocker, d.LooksNoMore(), "a reload of "+d.Name, "run vmhuge hook install --reload, or systemctl reload "+d.Name)
	}
	events, err := h.HookEvents()
	if err != nil {
		return s, err
	}
	if n := len(events); n > 0 {
		s.LastCall = &events[n-1]
	}
	_, s.Ready, _ = Conclude(s.Findings)
	return s, nil
}

// String says in one line how the hook is.
func (s HookStatus) String() string {
	switch {
	case !s.Installed:
		return "not installed (vmhuge hook install)"
	case !s.Ready:
		return s.Path + ", and libvirt does not call it"
	case s.LastCall == nil:
		return s.Path + ", not called since boot"
	}
	return s.Path + ", last called at " + s.LastCall.Time.Local().Format(time.DateTime)
}

// LooksNoMore says why the daemon does not call the hook.
func (d Daemon) LooksNoMore() string {
	return fmt.Sprintf("the running %s (process %d) may have found no hook when it started, and then calls none", d.Name, d.PID)
}

func (s *HookStatus) find(severity Severity, have, need, do string) {
	f := Finding{Check: "hook", Severity: severity, Have: have, Need: need, Do: do, Changes: []Change{}}
	if severity == Blocker {
		f.Verdict = BadHost
	}
	s.Findings = append(s.Findings, f)
}

// judgeFiles looks at what lies where libvirt looks for hooks.
func (s *HookStatus) judgeFiles(h Host) error {
	files, err := h.hookFiles()
	for _, f := range files {
		owner := fmt.Sprintf("%s is %s %d:%d", f.path, modeText(f.mode), f.uid, f.gid)
		switch {
		case f.path == s.Path && !f.runs:
			s.find(Blocker, owner+": libvirt takes no notice of a file that it can't run", "0755 0:0", "run vmhuge hook install")
		case f.path == s.Path && foreignHands(f.mode, f.uid, f.gid):
			s.find(Warning, owner+": others than root could change what libvirt runs as root", "0755 0:0", "run vmhuge hook install")
		case f.path != s.Path && f.runs && isBackup(path.Base(f.path)):
			s.find(Warning, f.path+" is run at each start, too: libvirt goes by no file's name", "no copies and leftovers in that folder", "move it away")
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
