package hook

import (
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/hostprep/selinux"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/shell"
)

// Forbidden finds that SELinux keeps libvirt's daemon from running the hook at this path; nil:
// it does not. libvirt goes by the file's mode alone: with a hook that it may not run, every
// start of a guest fails.
func Forbidden(h host.Host, file string) (*hostprep.Finding, error) {
	if enforcing, err := selinux.Enforcing(h); err != nil || !enforcing {
		return nil, err
	}
	daemon, err := libvirtd.Context(h)
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
		Do:   selinux.LoadModule(h),
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
