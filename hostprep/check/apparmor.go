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
)

const (
	appArmorRules    = "/etc/apparmor.d/abstractions/libvirt-qemu"
	AppArmorProfiles = "/sys/kernel/security/apparmor/profiles"
)

// AppArmorLocal is where rules of the host's own for QEMU belong, and CPUMapRule the
// rule that lets QEMU read which processors a node has.
const (
	AppArmorLocal = "/etc/apparmor.d/local/abstractions/libvirt-qemu"
	CPUMapRule    = "@{sys}/devices/system/node/*/cpumap r,"
)

// AppArmor asks whether QEMU may read which processors a node has, where it
// preallocates memory that is bound to one. The rules of Debian 12 forget it,
// and QEMU ends with "The nodes select no CPUs".
var AppArmor = Check{"apparmor", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	if g.Session || g.Demand.Unconfined || len(hostprep.BoundNodes(g.Demand)) == 0 || !g.ThreadContext() {
		return nil, nil
	}
	enabled, err := h.ReadIfThere("/sys/module/apparmor/parameters/enabled")
	if err != nil || strings.TrimSpace(enabled) != "Y" {
		return nil, err
	}
	conf, err := libvirtd.ReadQEMUConf(h, g.Conf)
	if err != nil || conf.SecurityDrivers != nil && !slices.Contains(conf.SecurityDrivers, "apparmor") {
		return nil, err
	}
	rules, err := appArmorFile(h, appArmorRules, map[string]bool{})
	if err != nil || rules == "" || allowsCPUMap(rules) { // "": libvirt's profiles are not there
		return nil, err
	}
	// The template's flags say how QEMU is confined: complain and unconfined refuse nothing.
	template, err := h.ReadIfThere(h.Root.Libvirt().Etc + "/apparmor.d/libvirt/TEMPLATE.qemu")
	if err != nil || strings.Contains(template, "complain") || strings.Contains(template, "unconfined") {
		return nil, err
	}
	f := hostprep.Finding{
		Severity: hostprep.Warning, Verdict: hostprep.Unknown, Cause: hostprep.AppArmorNUMA,
		Have: appArmorRules + " does not let QEMU read which processors a node has",
		Need: CPUMapRule,
		Do:   "add it to " + appArmorRules,
	}
	// libvirt confines guests only if its daemon is confined. Only root may read whether
	// it is.
	if profiles, _ := h.ReadIfThere(AppArmorProfiles); profiles != "" {
		if DaemonProfiles(profiles) == "" {
			return nil, nil
		}
		f.Severity, f.Verdict = hostprep.Blocker, hostprep.BadHost
	}
	// virt-aa-helper reads the rules anew for each start of a guest.
	if strings.Contains(rules, "<local/abstractions/libvirt-qemu>") {
		_, err = f.FixFile(h, change.SystemFile(AppArmorLocal, change.WithLine(CPUMapRule)), CPUMapRule)
	}
	return []hostprep.Finding{f}, err
}}

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
