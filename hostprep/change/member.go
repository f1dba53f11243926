package change

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
)

// KindMember adds a user to a group, or takes them out. From and To are the names of
// both, Path is GroupFile: kvm:alice.
const KindMember Kind = "member"

var member = kind{
	name: KindMember,
	find: func(c Change, _ host.Host, parent int, name string) (string, error) {
		return c.findMember(parent, name)
	},
	line:   func(c Change) string { return strings.Join(c.MemberCommands()[0], " ") },
	onDisk: always,
	valid: func(c Change) error {
		if _, _, err := c.Member(); err != nil || c.Path != GroupFile {
			return fmt.Errorf("%q from %q to %q is not a change of members", c.Path, c.From, c.To)
		}
		return nil
	},
	shared: true,
}

// GroupFile has the members of groups. The tools that change it also change gshadow
// and what else the system keeps of groups.
const GroupFile = "/etc/group"

// NewMember makes a user a member of a group.
func NewMember(user, group string) Change {
	return Change{Kind: KindMember, Path: GroupFile, To: group + ":" + user}
}

// Member returns the group and the user that a change of members is about.
func (c Change) Member() (group, user string, err error) {
	group, user, _ = strings.Cut(cmp.Or(c.To, c.From), ":")
	for _, name := range []string{group, user} {
		if name == "" || name[0] == '-' || strings.ContainsAny(name, ":,/ \t\n\x00") {
			return "", "", errors.New("no name of a user or group")
		}
	}
	return group, user, nil
}

// MemberCommands are the ways to make a change of members. The first that is
// installed is taken; a host with busybox has only the last of each.
func (c Change) MemberCommands() [][]string {
	group, user, _ := strings.Cut(cmp.Or(c.To, c.From), ":")
	if c.To == "" {
		return [][]string{{"gpasswd", "-d", user, group}, {"delgroup", user, group}}
	}
	return [][]string{{"gpasswd", "-a", user, group}, {"usermod", "-aG", group, user}, {"adduser", user, group}}
}

// findMember returns From or To, by whether GroupFile has the user in the group.
func (c Change) findMember(parent int, name string) (string, error) {
	group, user, err := c.Member()
	if err != nil {
		return "", err
	}
	state, err := readText(c.Path, parent, name)
	if err == nil && state == "" {
		err = unix.ENOENT
	}
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: c.Path, Err: err}
	}
	if a, ok := host.Find(host.ParseAccounts(TextOf(state)), group); ok && a.HasMember(user) {
		return group + ":" + user, nil
	}
	return "", nil
}
