package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// reorder puts flags before names. urfave/cli stops to read flags at the first
// name, and would take `start web1 --dry-run` for the start of two domains.
// What comes out is: program, global flags, command, its flags, --, names; and
// the command by itself. With --help it is the command help instead.
func reorder(app *cli.App, args []string) (ordered, path []string, err error) {
	if len(args) == 0 {
		return args, nil, nil
	}
	var globals, own, names []string
	commands, flags := app.Commands, []cli.Flag(nil)
	rest := args[1:]
	ended, help := false, false
	for len(rest) > 0 {
		arg := rest[0]
		rest = rest[1:]
		if ended || arg == "-" || !strings.HasPrefix(arg, "-") {
			if !ended && len(names) == 0 {
				if command := find(commands, arg); command != nil {
					path, commands, flags = append(path, arg), command.Subcommands, append(flags, command.Flags...)
					continue
				}
			}
			names = append(names, arg)
			continue
		}
		if arg == "--" {
			ended = true
			continue
		}
		name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		into := &own
		flag := lookup(flags, name)
		if flag == nil {
			if flag = lookup(app.Flags, name); flag != nil {
				into = &globals
			}
		}
		switch {
		case flag != nil:
		case name == "help" || name == "h":
			help = true
			continue
		case name == "version":
			into = &globals
		default:
			return nil, path, usage("there is no flag %s", arg)
		}
		if optional, ok := flag.(*optionalFlag); ok && !hasValue {
			value := ""
			if len(rest) > 0 && optional.takes(rest[0]) {
				value, rest = rest[0], rest[1:]
			}
			arg, hasValue = arg+"="+value, true
		}
		*into = append(*into, arg)
		if flag != nil && !hasValue && takesValue(flag) {
			if len(rest) == 0 {
				return nil, path, usage("the flag %s wants a value", arg)
			}
			*into = append(*into, rest[0])
			rest = rest[1:]
		}
	}
	if len(commands) > 0 && len(names) > 0 {
		// urfave/cli would take a name behind -- for a command, with the names
		// and flags behind that as they stand.
		return nil, path, usage("there is no command %q", strings.Join(append(path, names[0]), " "))
	}
	command := path
	if help {
		command, own, names = []string{"help"}, nil, path
	}
	ordered = append([]string{args[0]}, globals...)
	ordered = append(append(ordered, command...), own...)
	if len(names) > 0 {
		ordered = append(append(ordered, "--"), names...)
	}
	return ordered, path, nil
}

// asksJSON says whether a command line that could not be read asks for JSON.
func asksJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json")
}

func find(commands []*cli.Command, name string) *cli.Command {
	i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(name) })
	if i < 0 {
		return nil
	}
	return commands[i]
}

func lookup(flags []cli.Flag, name string) cli.Flag {
	i := slices.IndexFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
	if i < 0 {
		return nil
	}
	return flags[i]
}

// optionalFlag is a flag whose value may be left out. takes says whether the word
// behind it is that, and not a name.
type optionalFlag struct {
	*cli.StringFlag
	takes func(word string) bool
}

func takesValue(flag cli.Flag) bool {
	_, isBool := flag.(*cli.BoolFlag)
	return !isBool
}
