package change

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
)

// GroupFile has the members of groups; the tools that change it know others.
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

// MemberCommands are the ways to make a change of members; the first that the
// host has is taken, where there is nothing but busybox its adduser. Each knows
// what else the system keeps, such as gshadow.
func (c Change) MemberCommands() [][]string {
	group, user, _ := strings.Cut(cmp.Or(c.To, c.From), ":")
	if c.To == "" {
		return [][]string{{"gpasswd", "-d", user, group}, {"delgroup", user, group}}
	}
	return [][]string{{"gpasswd", "-a", user, group}, {"usermod", "-aG", group, user}, {"adduser", user, group}}
}

// findMember returns what the file says now.
func (c Change) findMember(parent int, name string) (string, error) {
	group, user, err := c.Member()
	if err != nil {
		return "", err
	}
	state, err := c.findFile(parent, name)
	if err == nil && state == "" {
		err = unix.ENOENT
	}
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: c.Path, Err: err}
	}
	_, text, _ := strings.Cut(state, "\n")
	groups, err := host.ParseAccounts(strings.NewReader(text))
	if a, ok := host.Find(groups, group); ok && slices.Contains(a.Members, user) {
		return group + ":" + user, err
	}
	return "", err
}
