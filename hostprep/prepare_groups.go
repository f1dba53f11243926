package hostprep

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// groupsStep makes members of a group those who need it: of the mounts' where one
// was asked for, and of the one of /dev/kvm. The QEMU user needs no other: libvirt
// itself opens the mounts' roots for searching, whatever their group.
var groupsStep = Step{"groups", func(h Host, p Preparation) ([]Finding, error) {
	users, err := h.qemuUsers(p)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	if p.MountGroup != "" {
		group, err := h.group(p.MountGroup)
		if err != nil && !errors.Is(err, errNoGroup) { // that, mountsStep tells
			return nil, err
		}
		for _, user := range users {
			if err == nil && user.UID != 0 && !user.in(group.id) {
				f := Finding{
					Severity: Warning,
					Have:     fmt.Sprintf("%s is not in the group %s", user.Name, group.name),
					Need:     "QEMU's user in the group of the mounts",
				}
				f.mend(memberChange(user.Name, group.name))
				findings = append(findings, f)
			}
		}
	}
	st, err := h.lstat("/dev/kvm")
	if err != nil || st == nil {
		return findings, err // without KVM there are guests of TCG
	}
	for _, user := range users {
		needs := h.opensKVM(p, user)
		asked := slices.Contains([]string{user.Name, strconv.Itoa(user.UID)}, p.User)
		if !needs && !asked && len(p.Guests) > 0 {
			continue
		}
		for _, f := range h.kvmAccess(user, st) {
			if !needs {
				f.Severity, f.Verdict = Warning, ""
			}
			if !needs && asked { // plain QEMU may do without KVM
				f.Severity = Note
			} else if len(f.Changes) > 0 {
				f.mend()
			}
			findings = append(findings, f)
		}
	}
	return findings, nil
}}

// opensKVM says that a named guest of a user's needs KVM.
func (h Host) opensKVM(p Preparation, user User) bool {
	return slices.ContainsFunc(p.Guests, func(g Guest) bool {
		as, err := h.runsAs(g.Starter)
		return g.Demand.Type == "kvm" && err == nil && as.UID == user.UID
	})
}

// qemuUsers are whom the guests of a preparation run as, and of one without
// guests QEMU's user and the one that was asked for.
func (h Host) qemuUsers(p Preparation) ([]User, error) {
	var users []User
	add := func(user User, err error) error {
		if err == nil && !slices.ContainsFunc(users, func(u User) bool { return u.UID == user.UID }) {
			users = append(users, user)
		}
		return err
	}
	for _, g := range p.Guests {
		if err := add(h.runsAs(g.Starter)); err != nil {
			return nil, err
		}
	}
	if len(p.Guests) == 0 {
		if err := add(h.runsAs(SystemStarter(UnknownVersion, UnknownVersion))); err != nil {
			return nil, err
		}
	}
	if p.User != "" {
		if err := add(h.user(p.User, "")); err != nil && !errors.Is(err, errNoUser) { // that, userStep tells
			return nil, err
		}
	}
	return users, nil
}
