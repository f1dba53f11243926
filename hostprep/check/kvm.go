package check

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/pages"
)

// KVM asks whether QEMU may open /dev/kvm, for a domain that needs it.
var KVM = Check{"kvm", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	if g.Demand.Type != "kvm" {
		return nil, nil
	}
	st, err := h.Lstat("/dev/kvm")
	if err != nil {
		return nil, err
	}
	if st == nil {
		return []hostprep.Finding{{
			Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Cause: hostprep.KVMMissing, Have: "there is no /dev/kvm", Need: "/dev/kvm, for <domain type='kvm'>",
			Do: enableKVM(h.Arch()),
		}}, nil
	}
	if findings, err := kvmWithheld(h, g); err != nil || findings != nil {
		return findings, err
	}
	user, err := RunsAs(h, g.Starter)
	if err != nil {
		return nil, err
	}
	return KVMAccess(h, user, st), nil
}}

// enableKVM is what gives a host of an architecture /dev/kvm.
func enableKVM(arch string) string {
	switch {
	case pages.SameKernel(arch, "arm64"): // where KVM is no module
		return "journalctl -k -g kvm says why it is off; in a virtual machine, enable nested virtualization on its host"
	case pages.SameKernel(arch, "s390x"), pages.SameKernel(arch, "riscv64"):
		return "modprobe kvm; in a virtual machine, enable nested virtualization on its host"
	case pages.SameKernel(arch, "ppc64le"):
		return "modprobe kvm_hv"
	}
	return "enable virtualization in the firmware, then load kvm_intel or kvm_amd"
}

// kvmWithheld says that qemu.conf leaves /dev/kvm out of the devices that QEMU may have: it
// is not in the /dev that libvirt makes for QEMU, or, in the host's, the cgroup forbids it.
func kvmWithheld(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	conf, err := libvirtd.ReadQEMUConf(h, g.Conf)
	if err != nil || g.Session || conf.DeviceACL == nil || slices.Contains(conf.DeviceACL, "/dev/kvm") {
		return nil, err
	}
	f := hostprep.Finding{
		Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Cause: hostprep.KVMMissing,
		Have: "cgroup_device_acl in " + cmp.Or(g.Conf, libvirtd.QEMUConfPath(h)) + " leaves out /dev/kvm", Need: "/dev/kvm, for <domain type='kvm'>",
		Do: `add "/dev/kvm" to that list in ` + libvirtd.ChangeConf(h, g.Conf),
	}
	if conf.SharesMounts {
		f.Cause = hostprep.KVMPermission
	}
	return []hostprep.Finding{f}, nil
}

// KVMAccess says what keeps a user from /dev/kvm. vmhuge prepare makes the user
// a member of the device's group, where that is enough; start does not.
func KVMAccess(h host.Host, user host.User, st *unix.Stat_t) []hostprep.Finding {
	lacks := host.Missing(user, st, host.MayRead|host.MayWrite) != 0
	if h.Real() && user.UID == unix.Getuid() { // the kernel knows of access lists too
		lacks = unix.Access("/dev/kvm", unix.R_OK|unix.W_OK) != nil
	}
	if !lacks {
		return nil
	}
	f := hostprep.Finding{
		Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Cause: hostprep.KVMPermission,
		Have: fmt.Sprintf("/dev/kvm is %s, and %s cannot open it", host.OwnerText(st), user.Name),
		Need: "/dev/kvm, for <domain type='kvm'>, that " + user.Name + " can read and write",
		Do:   "chgrp kvm /dev/kvm && chmod 0660 /dev/kvm",
	}
	group, err := h.Group("kvm")
	if errors.Is(err, host.ErrNoGroup) {
		f.Do = "groupadd --system kvm && " + f.Do
	}
	if errors.Is(err, host.ErrNoGroup) || err == nil && !user.In(group.Id) {
		f.Do += " && " + change.NewMember(user.Name, "kvm").String()
	}
	if name, ok := h.NamedGroup(int(st.Gid)); ok && st.Gid != 0 && st.Mode&0o060 == 0o060 && !user.In(int(st.Gid)) {
		f = f.With(change.NewMember(user.Name, name))
	}
	return []hostprep.Finding{f}
}

// RunsAs returns whom QEMU will run as.
func RunsAs(h host.Host, by hostprep.Starter) (host.User, error) {
	if by.Session {
		return h.User("+"+strconv.Itoa(by.UID), "")
	}
	conf, err := libvirtd.ReadQEMUConf(h, by.Conf)
	if err != nil {
		return host.User{}, err
	}
	return libvirtd.QEMUUser(h, conf)
}
