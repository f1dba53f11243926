package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// manCommand writes the man pages for a package to take, vmhuge.1 and one for
// each command, from what help prints. They are of the day that
// $SOURCE_DATE_EPOCH names.
func (p *program) manCommand() *cli.Command {
	return &cli.Command{
		Name:      "__man",
		Hidden:    true,
		ArgsUsage: "DIR",
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usage("the folder for the man pages is not named")
			}
			date := ""
			if epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
				date = time.Unix(epoch, 0).UTC().Format(time.DateOnly)
			}
			return writePages(c.App, c.Args().First(), date, nil)
		},
	}
}

// writePages writes the page of a command, and those of the commands below it.
func writePages(app *cli.App, dir, date string, path []string) error {
	about, err := aboutCommand(app, path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, pageName(about)+".1"), []byte(manPage(app, about, date)), 0o644); err != nil {
		return err
	}
	for _, command := range about.VisibleCommands() {
		if err := writePages(app, dir, date, append(path[:len(path):len(path)], command.Name)); err != nil {
			return err
		}
	}
	return nil
}

func pageName(about cli.Command) string { return strings.ReplaceAll(about.Name, " ", "-") }

// manPage is the page of a command in man(7).
func manPage(app *cli.App, about cli.Command, date string) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"%s\" \"%s\"\n", strings.ToUpper(roff(pageName(about))), date, roff("vmhuge "+app.Version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(pageName(about)), roff(about.Usage))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n%s\n", roff(synopsis(about)))
	section := func(title, text string) {
		if text != "" {
			fmt.Fprintf(&b, ".SH %s\n%s", title, paragraphs(text))
		}
	}
	flags := func(title string, flags []cli.Flag) {
		text := ""
		for _, flag := range flags {
			if names, what, ok := flagWords(flag); ok {
				text += fmt.Sprintf(".TP\n.B %s\n%s\n", roff(names), roff(what))
			}
		}
		if text != "" {
			fmt.Fprintf(&b, ".SH %s\n%s", title, text)
		}
	}
	list := func(title string, entries []entry) {
		if len(entries) > 0 {
			fmt.Fprintf(&b, ".SH %s\n", title)
		}
		for _, e := range entries {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(e.name), roff(e.text))
		}
	}
	manual := readManual(about.Description)
	if about.Name == app.Name {
		manual.files = ownFiles()
	}
	section("DESCRIPTION", manual.text)
	grouped := groups(about)
	if len(grouped) > 0 {
		b.WriteString(".SH COMMANDS\n")
	}
	for _, group := range grouped {
		if group.title != "commands" {
			fmt.Fprintf(&b, ".SS %s\n", roff(group.title))
		}
		for _, command := range group.commands {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(command.Name), roff(command.Usage))
		}
	}
	if about.Name == app.Name {
		flags("OPTIONS", everyFlag(app))
	} else {
		flags("OPTIONS", about.Flags)
		flags("OPTIONS OF EVERY COMMAND", everyFlag(app))
	}
	list("FILES", manual.files)
	list("EXIT STATUS", manual.exits)
	section("EXAMPLES", about.UsageText)
	var also []string
	if about.Name != app.Name {
		also = append(also, app.Name)
	}
	for _, command := range about.VisibleCommands() {
		also = append(also, pageName(about)+"-"+command.Name)
	}
	also = append(also, "virsh")
	for i := range also {
		also[i] = ".BR " + roff(also[i]) + " (1)"
	}
	b.WriteString(".SH SEE ALSO\n" + strings.Join(also, " ,\n") + "\n")
	return b.String()
}
