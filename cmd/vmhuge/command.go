package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"vmhuge/internal/nearest"
)

func find(commands []*cli.Command, name string) *cli.Command {
	i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(name) })
	if i < 0 {
		return nil
	}
	return commands[i]
}

// noCommand is the error of a path to no command, of which the last word is wrong.
func noCommand(there []*cli.Command, path []string) error {
	var names []string
	for _, command := range there {
		if !command.Hidden {
			names = append(names, command.Name)
		}
	}
	return usage("there is no command %q%s", strings.Join(path, " "), nearest.Ask(path[len(path)-1], names))
}

// group is the commands of one purpose.
type group struct {
	title    string
	commands []*cli.Command
}

// groups returns the visible commands below a command by their category, in the
// order in which they are declared.
func groups(about cli.Command) (all []group) {
	for _, command := range about.VisibleCommands() {
		title := cmp.Or(command.Category, "commands")
		if len(all) == 0 || all[len(all)-1].title != title {
			all = append(all, group{title: title})
		}
		last := &all[len(all)-1]
		last.commands = append(last.commands, command)
	}
	return all
}

// aboutCommand returns a command with its whole name; of an empty path, the
// program. Its UsageText has the examples.
func aboutCommand(app *cli.App, path []string) (cli.Command, error) {
	about := cli.Command{Name: app.Name, Usage: app.Usage, UsageText: app.UsageText, ArgsUsage: app.ArgsUsage, Description: app.Description, Subcommands: app.Commands}
	for i, name := range path {
		command := find(about.Subcommands, name)
		if command == nil {
			return about, noCommand(about.Subcommands, path[:i+1])
		}
		about = *command
		about.Name = strings.Join(append([]string{app.Name}, path[:i+1]...), " ")
	}
	return about, nil
}

func synopsis(about cli.Command) string {
	return strings.TrimSpace(about.Name + " [flags] " + about.ArgsUsage)
}
