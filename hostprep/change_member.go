package hostprep

import (
	"cmp"
	"errors"
	"io/fs"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// groupFile has the members of groups; the tools that change it know others.
const groupFile = "/etc/group"

// memberChange makes a user a member of a group.
func memberChange(user, group string) Change {
	return Change{Kind: KindMember, Path: groupFile, To: group + ":" + user}
}

// member returns the group and the user that a change of members is about.
func (c Change) member() (group, user string, err error) {
	group, user, _ = strings.Cut(cmp.Or(c.To, c.From), ":")
	for _, name := range []string{group, user} {
		if name == "" || name[0] == '-' || strings.ContainsAny(name, ":,/ \t\n\x00") {
			return "", "", errors.New("no name of a user or group")
		}
	}
	return group, user, nil
}

// memberCommands are the ways to make a change of members; the first that the
// host has is taken, where there is nothing but busybox its adduser. Each knows
// what else the system keeps, such as gshadow.
func (c Change) memberCommands() [][]string {
	group, user, _ := strings.Cut(cmp.Or(c.To, c.From), ":")
	if c.To == "" {
		return [][]string{{"gpasswd", "-d", user, group}, {"delgroup", user, group}}
	}
	return [][]string{{"gpasswd", "-a", user, group}, {"usermod", "-aG", group, user}, {"adduser", user, group}}
}

// findMember returns what the file says now.
func (c Change) findMember(parent int, name string) (string, error) {
	group, user, err := c.member()
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
	groups, err := parseAccounts(strings.NewReader(text))
	if a, ok := find(groups, group); ok && slices.Contains(a.members, user) {
		return group + ":" + user, err
	}
	return "", err
}

// setMember has the system's own tools change the members.
func (c Change) setMember(h Host) error {
	group, user, err := c.member()
	if err != nil {
		return err
	}
	if !h.real() {
		return errors.New("the tools change the running system alone")
	}
	commands := c.memberCommands()
	if !slices.ContainsFunc(commands, func(command []string) bool { _, err := exec.LookPath(command[0]); return err == nil }) {
		return errors.New("there is no gpasswd, nor what could stand for it; edit the members of " + group + " in " + c.Path + " for " + user)
	}
	return run(commands...)
}
