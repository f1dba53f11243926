package journal

import (
	"errors"
	"os/exec"
	"slices"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
)

// member changes a group with the system's own tools.
var member = kind{set: setMember}

func setMember(h host.Host, c change.Change, _ int, _ string) error {
	group, user, err := c.Member()
	if err != nil {
		return err
	}
	if !h.Real() {
		return errors.New("gpasswd changes only the running system")
	}
	commands := c.MemberCommands()
	if !slices.ContainsFunc(commands, func(command []string) bool { _, err := exec.LookPath(command[0]); return err == nil }) {
		return errors.New("gpasswd, usermod and adduser are not installed: install one, or edit the members of " + group + " in " + c.Path + " for " + user)
	}
	return RunFirst(commands...)
}
