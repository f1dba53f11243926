package check

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/lazyregexp"
	"vmhuge/internal/pages"
)

const (
	appArmorRules    = "/etc/apparmor.d/abstractions/libvirt-qemu"
	AppArmorProfiles = "/sys/kernel/security/apparmor/profiles"
)

// AppArmorLocal is where rules of the host's own for QEMU belong. CPUMapRule lets QEMU read
// which processors a node has. MemfdRule lets it write to a memfd on huge pages: that is in no
// folder, so that AppArmor takes its path for /, which libvirt's rules let QEMU only read. A
// memfd on plain pages needs none, as its file system (SB_NOUSER) is not mediated. Nothing else
// is written by that name: a folder can't be opened for writing, and what is made in it has a
// path of its own.
const (
	AppArmorLocal = "/etc/apparmor.d/local/abstractions/libvirt-qemu"
	CPUMapRule    = "@{sys}/devices/system/node/*/cpumap r,"
	MemfdRule     = "/ rw,"
)

// appArmorNeed is what guests of a kind need of AppArmor's rules.
type appArmorNeed struct {
	cause   hostprep.Cause
	rule    string
	keeps   string // what QEMU can't do without it
	of      func(hostprep.Guest) bool
	allowed func(rules string) bool
}

var appArmorNeeds = []appArmorNeed{{
	// QEMU preallocates memory that is bound to nodes with their processors. The rules of
	// Debian 12 forget it, and QEMU ends with "The nodes select no CPUs".
	hostprep.AppArmorNUMA, CPUMapRule, "read which processors a node has",
	func(g hostprep.Guest) bool { return len(hostprep.BoundNodes(g.Demand)) > 0 && g.ThreadContext() },
	allowsCPUMap,
}, {
	hostprep.AppArmorMemfd, MemfdRule, "write to a memfd on huge pages",
	func(g hostprep.Guest) bool {
		return slices.ContainsFunc(g.Demand.Items, func(i pages.Item) bool { return i.Source == "memfd" && i.Kind != pages.Growth })
	},
	allowsMemfd,
}}

// AppArmor asks whether AppArmor's rules for guests have what QEMU needs for this one.
var AppArmor = Check{"apparmor", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	return LacksOfAppArmor(h, []hostprep.Guest{g})
}}

// LacksOfAppArmor says which rules are missing for these guests. One edit adds all of them.
func LacksOfAppArmor(h host.Host, guests []hostprep.Guest) ([]hostprep.Finding, error) {
	var needs []appArmorNeed
	conf := ""
	for _, g := range guests {
		for _, need := range appArmorNeeds {
			if !g.Session && !g.Demand.Unconfined && need.of(g) && !slices.ContainsFunc(needs, func(n appArmorNeed) bool { return n.rule == need.rule }) {
				needs, conf = append(needs, need), g.Conf
			}
		}
	}
	if len(needs) == 0 {
		return nil, nil
	}
	rules, severity, err := appArmorOfGuests(h, conf)
	if err != nil || rules == "" {
		return nil, err
	}
	var findings []hostprep.Finding
	for _, need := range needs {
		if need.allowed(rules) {
			continue
		}
		f := hostprep.Finding{
			Severity: severity, Verdict: hostprep.Unknown, Cause: need.cause,
			Have: appArmorRules + " does not let QEMU " + need.keeps,
			Need: need.rule,
			Do:   "add it to " + appArmorRules,
		}
		if severity == hostprep.Blocker {
			f.Verdict = hostprep.BadHost
		}
		findings = append(findings, f)
	}
	if !strings.Contains(rules, "<local/abstractions/libvirt-qemu>") {
		return findings, nil
	}
	// virt-aa-helper reads the rules anew for each start of a guest.
	edit := change.SystemFile(AppArmorLocal, func(text string) (string, error) {
		var err error
		for _, f := range findings {
			if text, err = change.WithLine(f.Need)(text); err != nil {
				break
			}
		}
		return text, err
	})
	for i := range findings {
		if _, err := findings[i].FixFile(h, edit, findings[i].Need); err != nil {
			return findings, err
		}
	}
	return findings, nil
}

// appArmorOfGuests returns the rules that confine guests, and how sure it is that they do: only
// root may read whether libvirt's daemon is confined, without which it confines no guest. "":
// they confine none.
func appArmorOfGuests(h host.Host, confPath string) (rules string, sure hostprep.Severity, err error) {
	enabled, err := h.ReadIfThere("/sys/module/apparmor/parameters/enabled")
	if err != nil || strings.TrimSpace(enabled) != "Y" {
		return "", "", err
	}
	conf, err := libvirtd.ReadQEMUConf(h, confPath)
	if err != nil || conf.SecurityDrivers != nil && !slices.Contains(conf.SecurityDrivers, "apparmor") {
		return "", "", err
	}
	rules, err = appArmorFile(h, appArmorRules, map[string]bool{})
	if err != nil || rules == "" { // libvirt's profiles are not there
		return "", "", err
	}
	// The template's flags say how QEMU is confined: complain and unconfined refuse nothing.
	template, err := h.ReadIfThere(h.Root.Libvirt().Etc + "/apparmor.d/libvirt/TEMPLATE.qemu")
	if err != nil || strings.Contains(template, "complain") || strings.Contains(template, "unconfined") {
		return "", "", err
	}
	profiles, _ := h.ReadIfThere(AppArmorProfiles)
	switch {
	case profiles == "":
		return rules + template, hostprep.Warning, nil
	case DaemonProfiles(profiles) == "":
		return "", "", nil
	}
	return rules + template, hostprep.Blocker, nil
}

// appArmorFile returns the rules of a file, or of all files in a directory, and of the
// files that they include. A missing file has no rules, and a file is read only once, as
// files may include each other.
//
//	#include <abstractions/base>
//	include if exists <local/abstractions/libvirt-qemu>
func appArmorFile(h host.Host, path string, read map[string]bool) (string, error) {
	if read[path] {
		return "", nil
	}
	read[path] = true
	st, err := h.Lstat(path)
	if err != nil || st == nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		names, err := h.NamesIn(path)
		rules := ""
		for _, name := range names {
			more, fileErr := appArmorFile(h, path+"/"+name, read)
			rules, err = rules+more, errors.Join(err, fileErr)
		}
		return rules, err
	}
	text, err := h.ReadIfThere(path)
	rules := text + "\n"
	for _, name := range appArmorInclude.Get().FindAllStringSubmatch(text, -1) {
		more, fileErr := appArmorFile(h, "/etc/apparmor.d/"+name[1], read)
		rules, err = rules+more, errors.Join(err, fileErr)
	}
	return rules, err
}

var appArmorInclude = lazyregexp.New(`(?m)^\s*#?include\s+(?:if\s+exists\s+)?<([^>]+)>`)

// allowsCPUMap says whether one of these rules covers a node's cpumap.
//
//	@{sys}/devices/system/node/*/cpumap r,
func allowsCPUMap(rules string) bool {
	for line := range strings.Lines(rules) {
		line = strings.TrimSpace(line)
		_, below, ok := strings.Cut(line, "/devices/system/node/")
		if !ok || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "deny ") {
			continue
		}
		path, _, _ := strings.Cut(below, " ")
		if strings.Contains(path, "cpumap") || strings.HasSuffix(path, "**") || strings.HasSuffix(path, "*/*") {
			return true
		}
	}
	return false
}

// appArmorRule is a rule for a file: its path, and what it allows, which may stand first.
//
//	owner "/srv/**" rwk,
var appArmorRule = lazyregexp.New(`^(?:audit\s+)?(?:allow\s+)?(?:owner\s+)?(?:file\s+)?(?:([rwaklmxpPcCuUi]+)\s+)?"?([/{@][^\s",]*(?:,[^\s",]*\}[^\s",]*)*)"?(?:\s+([rwaklmxpPcCuUi]+))?\s*,`)

// allowsMemfd says whether these rules let QEMU read and write what has the path /.
func allowsMemfd(rules string) bool {
	read, write := false, false
	for line := range strings.Lines(rules) {
		line = strings.TrimSpace(line)
		if line == "file," || line == "allow file," || line == "allow all," {
			return true
		}
		rule := appArmorRule.Get().FindStringSubmatch(line)
		if rule == nil || !slices.Contains([]string{"/", "/{,*}", "/{,**}", "{/,/**}"}, rule[2]) {
			continue
		}
		read = read || strings.Contains(rule[1]+rule[3], "r")
		write = write || strings.Contains(rule[1]+rule[3], "w")
	}
	return read && write
}

// DaemonProfiles finds libvirt's daemons among AppArmor's profiles:
//
//	libvirtd (enforce)
//	libvirtd//qemu_bridge_helper (enforce)
func DaemonProfiles(profiles string) string {
	var found string
	for line := range strings.Lines(profiles) {
		name, mode, _ := strings.Cut(strings.TrimSpace(line), " ")
		if slices.Contains(libvirtd.DaemonNames, name) {
			found += ", " + name + " " + mode
		}
	}
	return found
}
