package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
)

// helpCommand stands in for urfave/cli's own help, which takes the names beside
// --help for topics and knows nothing of commands below commands.
func (p *program) helpCommand() *cli.Command {
	return &cli.Command{
		Name:      "help",
		Usage:     "explain a command, as COMMAND --help does",
		ArgsUsage: "[COMMAND]",
		UsageText: "  vmhuge help hook install",
		Action:    func(c *cli.Context) error { return p.help(c.App, c.Args().Slice()) },
	}
}

// help prints what a command is for and what it takes; an empty path is the
// program.
func (p *program) help(app *cli.App, path []string) error {
	about, err := aboutCommand(app, path)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s: %s\n\nusage: %s\n", about.Name, about.Usage, synopsis(about))
	if about.Description != "" {
		fmt.Fprintf(w, "\n%s\n", about.Description)
	}
	if about.UsageText != "" {
		fmt.Fprintf(w, "\nexamples:\n%s\n", about.UsageText)
	}
	if len(about.Subcommands) > 0 {
		fmt.Fprint(w, "\ncommands:\n")
		for _, command := range about.VisibleCommands() {
			fmt.Fprintf(w, "  %s\t%s\n", command.Name, command.Usage)
		}
	}
	printFlags(w, "flags", about.Flags)
	global := "flags of every command"
	if len(path) == 0 {
		global = "flags"
	}
	printFlags(w, global, everyFlag(app))
	return w.Flush()
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

// everyFlag are the flags of every command.
func everyFlag(app *cli.App) []cli.Flag {
	return append([]cli.Flag{&cli.BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "explain the command"}}, app.Flags...)
}

// visible returns what there is to say of a flag; false: nothing.
func visible(flag cli.Flag) (cli.DocGenerationFlag, bool) {
	doc, ok := flag.(cli.DocGenerationFlag)
	if hidden, is := flag.(cli.VisibleFlag); !ok || is && !hidden.IsVisible() {
		return nil, false
	}
	return doc, true
}

func printFlags(w *tabwriter.Writer, title string, flags []cli.Flag) {
	if len(flags) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n", title)
	for _, flag := range flags {
		if names, text, ok := flagWords(flag); ok {
			fmt.Fprintf(w, "  %s\t%s\n", names, text)
		}
	}
}

// flagWords is a flag in words: "-c, --connect URI", and what it is for.
func flagWords(flag cli.Flag) (names, text string, ok bool) {
	doc, ok := visible(flag)
	if !ok {
		return "", "", false
	}
	for _, name := range flag.Names() {
		if len(name) == 1 {
			names = "-" + name + ", " + names
		} else {
			names += "--" + name
		}
	}
	text = doc.GetUsage()
	if placeholder := strings.Split(text, "`"); len(placeholder) == 3 {
		names += " " + placeholder[1]
		text = strings.Join(placeholder, "")
	}
	if doc.TakesValue() && doc.GetValue() != "" {
		text += " (default: " + doc.GetValue() + ")"
	}
	for _, variable := range doc.GetEnvVars() {
		text += " [$" + variable + "]"
	}
	return names, text, true
}
