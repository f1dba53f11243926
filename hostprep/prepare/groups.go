package prepare

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
)

// groupsStep adds QEMU's user and the user that was asked for to the groups that they
// need: that of the mounts, if one was asked for, and that of /dev/kvm. QEMU's user needs
// no other: libvirt lets everybody search the roots of the mounts.
var groupsStep = Step{"groups", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	users, err := qemuUsers(h, p)
	if err != nil {
		return nil, err
	}
	var findings []hostprep.Finding
	if p.MountGroup != "" {
		group, err := h.Group(p.MountGroup)
		if err != nil && !errors.Is(err, host.ErrNoGroup) { // mountsStep reports that
			return nil, err
		}
		for _, user := range users {
			if err == nil && user.UID != 0 && !user.In(group.Id) {
				f := hostprep.Finding{
					Severity: hostprep.Warning,
					Have:     fmt.Sprintf("%s is not in the group %s", user.Name, group.Name),
					Need:     "QEMU's user in the group of the mounts",
				}
				f.Fix(change.NewMember(user.Name, group.Name))
				findings = append(findings, f)
			}
		}
	}
	st, err := h.Lstat("/dev/kvm")
	if err != nil || st == nil {
		return findings, err // without KVM, guests run with TCG
	}
	for _, user := range users {
		needs := opensKVM(h, p, user)
		asked := slices.Contains([]string{user.Name, strconv.Itoa(user.UID)}, p.User)
		if !needs && !asked && len(p.Guests) > 0 {
			continue
		}
		for _, f := range check.KVMAccess(h, user, st) {
			if !needs {
				f.Severity, f.Verdict = hostprep.Warning, ""
			}
			if !needs && asked { // plain QEMU may do without KVM
				f.Severity = hostprep.Note
			} else if len(f.Changes) > 0 {
				f.Fix()
			}
			findings = append(findings, f)
		}
	}
	return findings, nil
}}

// opensKVM says that a named guest of a user's needs KVM.
func opensKVM(h host.Host, p Options, user host.User) bool {
	return slices.ContainsFunc(p.Guests, func(g hostprep.Guest) bool {
		as, err := check.RunsAs(h, g.Starter)
		return g.Demand.Type == "kvm" && err == nil && as.UID == user.UID
	})
}

// qemuUsers are the users that the guests of a preparation run as, or without guests
// QEMU's user; and the user that was asked for.
func qemuUsers(h host.Host, p Options) ([]host.User, error) {
	var users []host.User
	add := func(user host.User, err error) error {
		if err == nil && !slices.ContainsFunc(users, func(u host.User) bool { return u.UID == user.UID }) {
			users = append(users, user)
		}
		return err
	}
	for _, g := range p.Guests {
		if err := add(check.RunsAs(h, g.Starter)); err != nil {
			return nil, err
		}
	}
	if len(p.Guests) == 0 {
		if err := add(check.RunsAs(h, hostprep.SystemStarter(hostprep.UnknownVersion, hostprep.UnknownVersion))); err != nil {
			return nil, err
		}
	}
	if p.User != "" {
		if err := add(h.User(p.User, "")); err != nil && !errors.Is(err, host.ErrNoUser) { // userStep reports that
			return nil, err
		}
	}
	return users, nil
}
