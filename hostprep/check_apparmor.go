package hostprep

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

const (
	appArmorRules = "/etc/apparmor.d/abstractions/libvirt-qemu"
	appArmorLocal = "/etc/apparmor.d/local/abstractions/libvirt-qemu"
	cpumapRule    = "@{sys}/devices/system/node/*/cpumap r,"
)

// appArmorCheck asks whether QEMU may read which processors a node has, where it
// preallocates memory that is bound to one. The rules of Debian 12 forget it,
// and QEMU ends with "The nodes select no CPUs".
var appArmorCheck = Check{"apparmor", func(h Host, g Guest) ([]Finding, error) {
	if g.Session || len(boundNodes(g.Demand)) == 0 || !g.threadContext() {
		return nil, nil
	}
	enabled, err := h.readIfThere("/sys/module/apparmor/parameters/enabled")
	if err != nil || strings.TrimSpace(enabled) != "Y" {
		return nil, err
	}
	conf, err := h.QEMUConf(g.Conf)
	if err != nil || conf.SecurityDrivers != nil && !slices.Contains(conf.SecurityDrivers, "apparmor") {
		return nil, err
	}
	rules, err := h.readIfThere(appArmorRules)
	if err != nil || rules == "" { // libvirt's profiles are not there
		return nil, err
	}
	local, err := h.readIfThere(appArmorLocal)
	if err != nil || allowsCPUMap(rules+"\n"+local) {
		return nil, err
	}
	f := Finding{
		Severity: Warning, Verdict: Unknown, Cause: AppArmorNUMA,
		Have: appArmorRules + " does not let QEMU read which processors a node has",
		Need: cpumapRule,
		Do:   "add it to " + appArmorRules,
	}
	// virt-aa-helper reads the rules anew for each start of a guest.
	if strings.Contains(rules, "<local/abstractions/libvirt-qemu>") {
		_, err = f.mendFile(h, systemFile(appArmorLocal, withLine(cpumapRule)), cpumapRule)
	}
	return []Finding{f}, err
}}

// readIfThere reads a file; one that is not there is empty.
func (h Host) readIfThere(path string) (string, error) {
	text, err := once(h, "text of "+path, func() (string, error) { return h.Root.Read(path) })
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return text, err
}

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
