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
		Usage:     "show the help of a command, as COMMAND --help does",
		Category:  helping,
		ArgsUsage: "[COMMAND]",
		UsageText: "  vmhuge help hook install",
		Description: `Without a command it lists them all. The man page of each command, such as
vmhuge-hook-install(1), has the same text and the files that the command uses.

FILES
  /usr/share/man/man1/
EXIT STATUS
  0
  2  there is no such command`,
		Action: func(c *cli.Context) error { return p.help(c.App, c.Args().Slice()) },
	}
}

// The groups of commands in the program's help, by what somebody wants to do, in
// this order.
const (
	running        = "run a guest on huge pages"
	finding        = "find out why a guest does not start"
	watching       = "see what a guest really has"
	preparing      = "set up the host"
	choosing       = "choose and plan pages"
	withoutLibvirt = "work without libvirt"
	helping        = "help"
)

// help prints what a command is for and what it takes; an empty path is the
// program.
func (p *program) help(app *cli.App, path []string) error {
	about, err := aboutCommand(app, path)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s: %s\n\nusage: %s\n", about.Name, about.Usage, synopsis(about))
	m := readManual(about.Description)
	if m.text != "" {
		fmt.Fprintf(w, "\n%s\n", m.text)
	}
	if about.UsageText != "" {
		fmt.Fprintf(w, "\nexamples:\n%s\n", about.UsageText)
	}
	for _, group := range groups(about) {
		fmt.Fprintf(w, "\n%s:\n", group.title)
		for _, command := range group.commands {
			fmt.Fprintf(w, "  %s\t%s\n", command.Name, command.Usage)
		}
	}
	printFlags(w, "flags", about.Flags)
	global := "flags of every command"
	if len(path) == 0 {
		global = "flags"
	}
	printFlags(w, global, everyFlag(app))
	if len(m.exits) > 0 {
		fmt.Fprint(w, "\nexit status:\n")
	}
	for _, e := range m.exits {
		fmt.Fprintf(w, "  %s\t%s\n", e.name, e.text)
	}
	return w.Flush()
}

// everyFlag are the flags of every command.
func everyFlag(app *cli.App) []cli.Flag {
	return append([]cli.Flag{&cli.BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "show this help"}}, app.Flags...)
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
	text, value := splitUsage(doc)
	if value != "" {
		names += " " + value
	}
	if doc.TakesValue() && doc.GetValue() != "" && doc.GetValue() != "0" && !strings.Contains(text, "(default: ") {
		text += " (default: " + doc.GetValue() + ")"
	}
	for _, variable := range doc.GetEnvVars() {
		text += " [$" + variable + "]"
	}
	return names, text, true
}

// splitUsage takes the name of a flag's value from what the flag is for:
// "`SIZE` page size: 2M or 1G". value is empty for a flag that takes none.
func splitUsage(doc cli.DocGenerationFlag) (text, value string) {
	rest, ok := strings.CutPrefix(doc.GetUsage(), "`")
	if !ok {
		return doc.GetUsage(), ""
	}
	value, text, _ = strings.Cut(rest, "` ")
	return text, value
}
