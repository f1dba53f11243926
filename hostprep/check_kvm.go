package hostprep

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// kvmCheck asks whether QEMU may open /dev/kvm, for a domain that needs it.
var kvmCheck = Check{"kvm", func(h Host, g Guest) ([]Finding, error) {
	if g.Demand.Type != "kvm" {
		return nil, nil
	}
	st, err := h.lstat("/dev/kvm")
	if err != nil {
		return nil, err
	}
	if st == nil {
		return []Finding{{
			Severity: Blocker, Verdict: BadHost, Cause: KVMMissing, Have: "there is no /dev/kvm", Need: "/dev/kvm, for <domain type='kvm'>",
			Do: "switch on virtualization in the firmware and load kvm_intel or kvm_amd",
		}}, nil
	}
	user, err := h.runsAs(g.Starter)
	if err != nil {
		return nil, err
	}
	return h.kvmAccess(user, st), nil
}}

// kvmAccess says what keeps a user from /dev/kvm. vmhuge prepare makes the user
// a member of the device's group, where that is enough; start does not.
func (h Host) kvmAccess(user User, st *unix.Stat_t) []Finding {
	lacks := missing(user, st, mayRead|mayWrite) != 0
	if h.real() && user.UID == unix.Getuid() { // the kernel knows of access lists too
		lacks = unix.Access("/dev/kvm", unix.R_OK|unix.W_OK) != nil
	}
	if !lacks {
		return nil
	}
	f := Finding{
		Severity: Blocker, Verdict: BadHost, Cause: KVMPermission,
		Have: fmt.Sprintf("/dev/kvm is %s, and %s may not open it", ownerText(st), user.Name),
		Need: "/dev/kvm, for <domain type='kvm'>, that " + user.Name + " may read and write",
		Do:   "chgrp kvm /dev/kvm && chmod 0660 /dev/kvm",
	}
	if gid := int(st.Gid); gid != 0 && st.Mode&0o060 == 0o060 && !user.in(gid) {
		f = f.with(memberChange(user.Name, h.groupName(gid)))
	}
	return []Finding{f}
}

// runsAs returns whom QEMU will run as.
func (h Host) runsAs(by Starter) (User, error) {
	if by.Session {
		return h.user("+"+strconv.Itoa(by.UID), "")
	}
	conf, err := h.QEMUConf(by.Conf)
	if err != nil {
		return User{}, err
	}
	return h.QEMUUser(conf)
}
