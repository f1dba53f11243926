package hook

import (
	"fmt"
	"path"
	"strconv"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/hostprep/selinux"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/shell"
)

// selinuxModule is the policy for the hook, where the package vmhuge-selinux has it.
const selinuxModule = "/usr/share/selinux/packages/vmhuge.cil"

// Forbidden finds that SELinux keeps libvirt's daemon from running the hook at this path; nil:
// it does not. libvirt goes by the file's mode alone: with a hook that it may not run, every
// start of a guest fails.
func Forbidden(h host.Host, file string) (*hostprep.Finding, error) {
	if enforcing, err := selinux.Enforcing(h); err != nil || !enforcing {
		return nil, err
	}
	daemon, err := daemonContext(h)
	if err != nil || daemon == "" {
		return nil, err
	}
	label, rule, err := labels(h, file)
	if err != nil || label == "" {
		return nil, err
	}
	denied, err := selinux.Execution(h, daemon, label)
	if err != nil || denied == nil {
		return nil, err
	}
	f := hostprep.Finding{
		Check: CheckName, Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Cause: hostprep.HookDenied, Changes: []change.Change{},
		Have: fmt.Sprintf("%s (%s): %s could not run the hook, and no guest would start", denied, file, libvirtd.Name(h)),
		Need: "a policy with which " + selinux.Type(daemon) + " may run it",
		Do:   "install the package vmhuge-selinux, which has a policy for it",
	}
	if st, _ := h.Lstat(selinuxModule); st != nil {
		f.Do = "semodule -i " + selinuxModule
	}
	if conf, usual := h.Root.Libvirt().ConfDir(), hostfs.UsualLibvirt.ConfDir(); conf != usual { // the policies' rules are for the usual
		f.Do = fmt.Sprintf("semanage fcontext -a -e %s %s && restorecon -R %[2]s; then %s", usual, shell.Quote(conf), f.Do)
	}
	if selinux.Type(rule) != selinux.Type(label) && rule != "" {
		if with, err := selinux.Execution(h, daemon, rule); err == nil && with == nil {
			f.Do = "restorecon -v " + shell.Quote(file)
		}
	}
	return &f, nil
}

// labels are that of a file and the one that the policy's rules give it. A file that is not
// there yet will have that of the rules, or else its folder's.
func labels(h host.Host, file string) (label, rule string, err error) {
	if rule, err = selinux.Label(h, file, unix.S_IFREG); err != nil {
		return "", "", err
	}
	if label, err = selinux.File(h, file); err != nil || label != "" {
		return label, rule, err
	}
	if rule != "" {
		return rule, rule, nil
	}
	label, err = selinux.File(h, path.Dir(file))
	return label, rule, err
}

// daemonContext is the context of libvirt's daemon, or that which it would have, started by
// process 1. "": its program is not where packages put it.
func daemonContext(h host.Host) (string, error) {
	d, err := libvirtd.ReadDaemon(h)
	if err != nil {
		return "", err
	}
	if d != nil {
		return selinux.Process(h, strconv.Itoa(d.PID))
	}
	init, err := selinux.Process(h, "1")
	if err != nil || init == "" {
		return "", err
	}
	for _, dir := range libvirtd.ProgramDirs {
		program, err := selinux.File(h, h.Resolve(path.Join(dir, libvirtd.Name(h))))
		if err != nil {
			return "", err
		}
		if program != "" {
			return selinux.Domain(h, init, program)
		}
	}
	return "", nil
}
