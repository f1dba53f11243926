package main

import (
	"cmp"
	"flag"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"vmhuge/launcher"
)

const files = ":files"

func (p *program) complete(app *cli.App, words []string, word string) []string {
	l, err := readLine(app, words)
	name, _, hasValue := strings.Cut(word, "=")
	switch {
	case l.open != nil:
		return p.values(l, l.open)
	case err != nil:
		return nil
	case !l.ended && hasValue && strings.HasPrefix(word, "--"):
		flag := cmp.Or(lookup(l.flags, name[2:]), lookup(app.Flags, name[2:]))
		if flag == nil || !takesValue(flag) {
			return nil
		}
		words := p.values(l, flag)
		for i := range words {
			words[i] = name + "=" + words[i]
		}
		return words
	case !l.ended && strings.HasPrefix(word, "-"):
		var words []string
		for _, flag := range slices.Concat(l.flags, everyFlag(app)) {
			if doc, ok := visible(flag); ok {
				text, _ := splitUsage(doc)
				words = append(words, "--"+flag.Names()[0]+"\t"+text)
			}
		}
		return words
	case len(l.below) > 0:
		return commandWords(l.below)
	case l.argsUsage == "[COMMAND]":
		below := app.Commands
		for _, name := range l.names {
			if command := find(below, name); command != nil {
				below = command.Subcommands
			}
		}
		return commandWords(below)
	case strings.HasSuffix(l.argsUsage, "SIZE") && len(l.names) > 0: // an amount of memory
		return nil
	case strings.Contains(l.argsUsage, "DOMAIN") && !slices.Contains(l.own, "--file"):
		return p.domainWords(l)
	case strings.Contains(l.argsUsage, "|") && !strings.Contains(l.argsUsage, "FILE"): // it lists what there is
		return strings.Split(l.argsUsage, "|")
	case l.argsUsage != "":
		return []string{files}
	}
	return nil
}

func commandWords(commands []*cli.Command) (words []string) {
	for _, command := range commands {
		if !command.Hidden {
			words = append(words, command.Name+"\t"+command.Usage)
		}
	}
	return words
}

// values are what a flag may be given, as far as its help lists them:
// "of the pages: 2M, 1G, auto or default".
func (p *program) values(l line, flag cli.Flag) (words []string) {
	doc, ok := visible(flag)
	switch {
	case !ok:
		return nil
	case flag.Names()[0] == "domain":
		return p.domainWords(l)
	case strings.Contains(doc.GetUsage(), "`FILE`"):
		return []string{files}
	case strings.Contains(doc.GetUsage(), "`URI`"):
		return []string{"qemu:///system", "qemu:///session"}
	}
	_, list, _ := strings.Cut(doc.GetUsage(), ": ")
	if strings.Contains(list, "`") { // it is of examples
		return nil
	}
	for _, choice := range strings.Split(strings.ReplaceAll(list, " or ", ", "), ", ") {
		choice, _, _ = strings.Cut(choice, " (") // what it is
		if choice != "" && !strings.Contains(choice, " ") {
			words = append(words, choice)
		}
	}
	return words
}

// answersWithin is how long libvirt has for an answer: who has pressed a key
// does not wait for a daemon that hangs.
const answersWithin = 1500 * time.Millisecond

// domainWords are the domains that a command is meant for and that are not on
// the line yet.
func (p *program) domainWords(l line) []string {
	which := launcher.All
	switch l.path[0] {
	case "start":
		which = launcher.Inactive
	case "stop", "verify", "collapse":
		which = launcher.Active
	}
	globals := flag.NewFlagSet("", flag.ContinueOnError)
	for _, flag := range p.app().Flags { // sets p.uri
		_ = flag.Apply(globals)
	}
	if globals.Parse(l.globals) != nil {
		return nil
	}
	names := make(chan []string, 1)
	go func() { names <- launcher.ReadNames(p.uri, p.host(), which) }()
	select {
	case names := <-names:
		return slices.DeleteFunc(names, func(name string) bool {
			// One that begins with - would be taken for a flag.
			return slices.Contains(l.names, name) || strings.ContainsFunc(name, unseen) || strings.HasPrefix(name, "-") && !l.ended
		})
	case <-time.After(answersWithin):
		return nil
	}
}
