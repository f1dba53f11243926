package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"vmhuge/internal/nearest"
)

// reorder puts flags before names. urfave/cli stops to read flags at the first
// name, and would take `start web1 --dry-run` for the start of two domains.
// What comes out is: program, global flags, command, its flags, --, names; and
// the line as it was read. With --help it is the command help instead.
func reorder(app *cli.App, args []string) (ordered []string, l line, err error) {
	if len(args) == 0 {
		return args, l, nil
	}
	if l, err = readLine(app, args[1:]); err != nil {
		return nil, l, err
	}
	command, own, names := l.path, l.own, l.names
	if l.help {
		command, own, names = []string{"help"}, nil, l.path
	}
	ordered = append([]string{args[0]}, l.globals...)
	ordered = append(append(ordered, command...), own...)
	if len(names) > 0 {
		ordered = append(append(ordered, "--"), names...)
	}
	return ordered, l, nil
}

// line is a command line, taken apart.
type line struct {
	path         []string       // the command
	below        []*cli.Command // the commands below that one
	flags        []cli.Flag     // that it takes beside those of every command
	argsUsage    string         // what it takes for names
	globals, own []string       // flags of every command and flags of this one, with their values
	names        []string
	uris         []string // the values of --connect
	ended, help  bool     // -- was there, or --help
	open         cli.Flag // the last flag, which still lacks its value
}

func readLine(app *cli.App, rest []string) (line, error) {
	l := line{below: app.Commands}
	for len(rest) > 0 {
		arg := rest[0]
		rest = rest[1:]
		if l.ended || arg == "-" || !strings.HasPrefix(arg, "-") || isLess(arg, l.argsUsage) {
			if !l.ended && len(l.names) == 0 {
				if command := find(l.below, arg); command != nil {
					l.path, l.below, l.flags, l.argsUsage = append(l.path, arg), command.Subcommands, append(l.flags, command.Flags...), command.ArgsUsage
					continue
				}
			}
			l.names = append(l.names, arg)
			continue
		}
		if arg == "--" {
			l.ended = true
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		into := &l.own
		flag := lookup(l.flags, name)
		if flag == nil {
			flag = lookup(app.Flags, name)
			if flag != nil {
				into = &l.globals
			}
		}
		switch {
		case flag != nil:
		case name == "help" || name == "h":
			l.help = true
			continue
		case name == "version":
			into = &l.globals
		case slices.Equal(l.path, []string{"exec"}) && len(l.names) > 0:
			return l, usage("%s is an option of %s, and -- is missing before that: vmhuge exec -- %s %s …", arg, l.names[0], strings.Join(l.names, " "), arg)
		default:
			var names []string
			for _, flag := range slices.Concat(l.flags, everyFlag(app)) {
				if _, ok := visible(flag); ok {
					names = append(names, "--"+flag.Names()[0])
				}
			}
			return l, usage("there is no flag %s%s", arg, l.orWord(arg, nearest.Ask("--"+name, names)))
		}
		if optional, ok := flag.(*optionalFlag); ok && !hasValue {
			if len(rest) > 0 && optional.takes(rest[0]) {
				value, rest = rest[0], rest[1:]
			}
			arg, hasValue = arg+"="+value, true
		}
		if flag != nil && !hasValue && takesValue(flag) {
			if len(rest) == 0 {
				l.open = flag
				return l, usage("the flag %s needs a value", arg)
			}
			if err := checkValue(flag, arg, rest[0]); err != nil {
				return l, err
			}
			*into = append(*into, arg, rest[0])
			l.connect(flag, rest[0])
			rest = rest[1:]
			continue
		}
		if hasValue {
			given, _, _ := strings.Cut(arg, "=")
			if err := checkValue(flag, given, value); err != nil {
				return l, err
			}
			l.connect(flag, value)
		}
		*into = append(*into, arg)
	}
	if len(l.below) > 0 && len(l.names) > 0 {
		// urfave/cli would take a name behind -- for a command, with the names
		// and flags behind that as they stand.
		return l, noCommand(l.below, append(l.path, l.names[0]))
	}
	return l, nil
}

// asksJSON says whether a command line that could not be read asks for JSON.
func asksJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json")
}
