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
	f := Finding{Severity: Blocker, Verdict: BadHost, Need: "/dev/kvm, for <domain type='kvm'>"}
	if st == nil {
		f.Cause, f.Have = KVMMissing, "there is no /dev/kvm"
		f.Do = "switch on virtualization in the firmware and load kvm_intel or kvm_amd"
		return []Finding{f}, nil
	}
	user, err := h.runsAs(g)
	if err != nil {
		return nil, err
	}
	lacks := missing(user, st, mayRead|mayWrite) != 0
	if h.real() && user.UID == unix.Getuid() { // the kernel knows of access lists too
		lacks = unix.Access("/dev/kvm", unix.R_OK|unix.W_OK) != nil
	}
	if !lacks {
		return nil, nil
	}
	f.Cause = KVMPermission
	f.Have = fmt.Sprintf("/dev/kvm is %s, and %s may not open it", ownerText(st), user.Name)
	f.Need += ", that " + user.Name + " may read and write"
	f.Do = "chgrp kvm /dev/kvm && chmod 0660 /dev/kvm"
	if st.Gid != 0 && st.Mode&0o060 == 0o060 {
		group := strconv.Itoa(int(st.Gid))
		if _, groups, err := h.accounts(); err == nil {
			if a, ok := find(groups, "+"+group); ok {
				group = a.name
			}
		}
		f.Do = fmt.Sprintf("adduser %s %s", user.Name, group)
	}
	return []Finding{f}, nil
}}

// runsAs returns whom QEMU will run as.
func (h Host) runsAs(g Guest) (User, error) {
	if g.Session {
		return h.user("+"+strconv.Itoa(g.UID), "")
	}
	conf, err := h.QEMUConf(g.Conf)
	if err != nil {
		return User{}, err
	}
	return h.QEMUUser(conf)
}
