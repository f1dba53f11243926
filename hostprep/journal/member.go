package journal

import (
	"errors"
	"os/exec"
	"slices"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
)

// setMember has the system's own tools change the members.
func setMember(h host.Host, c change.Change) error {
	group, user, err := c.Member()
	if err != nil {
		return err
	}
	if !h.Real() {
		return errors.New("the tools change the running system alone")
	}
	commands := c.MemberCommands()
	if !slices.ContainsFunc(commands, func(command []string) bool { _, err := exec.LookPath(command[0]); return err == nil }) {
		return errors.New("there is no gpasswd, nor what could stand for it; edit the members of " + group + " in " + c.Path + " for " + user)
	}
	return RunFirst(commands...)
}
