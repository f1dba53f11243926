package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/host"
	"vmhuge/internal/hostfs"
	"vmhuge/launcher"
)

// program is one run of vmhuge: its streams and its global flags.
type program struct {
	stdin io.Reader
	// uncatch lets Ctrl-C end the program at once, as while it waits for input
	// and nothing has been done yet.
	uncatch        func()
	stdout, stderr io.Writer

	uri     string
	uris    []string // those of the command line, of which several are for status alone
	json    bool
	quiet   bool
	verbose bool
	noColor bool
	root    string

	path []string // the command
}

// run is the whole program; it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr, uncatch: stop}
	app := p.app()
	ordered, line, err := reorder(app, args)
	p.path, p.uris = line.path, line.uris
	if slices.Equal(line.path, []string{"help"}) {
		p.path = nil
	}
	if err == nil {
		err = line.checkConnections()
	}
	if err == nil {
		err = app.RunContext(ctx, ordered)
	}
	if codeOf(err) == exitUsage {
		p.json = p.json || asksJSON(args) // urfave/cli may not have come that far
	}
	return p.exit(err)
}

func (p *program) app() *cli.App {
	// urfave/cli's own version flag would take -v, which is --verbose here.
	cli.VersionFlag = &cli.BoolFlag{Name: "version", Usage: "print the version"}
	app := &cli.App{
		Name:      "vmhuge",
		Usage:     "run libvirt VMs on huge pages, and prove it",
		ArgsUsage: "COMMAND [DOMAIN…]",
		UsageText: `  vmhuge enable web1    add huge pages to its XML
  vmhuge start web1     allocate the pages, start it, verify its RAM
  vmhuge stop web1      shut it down and free the pages`,
		Description: `Makes existing libvirt VMs run on huge pages: it changes the domain's XML, allocates
the pages, starts the guest and verifies from the kernel's accounting that its RAM is
on huge pages. Every change can be undone.

Name a domain by name, UUID or id; where several may be named, a quoted pattern such as
'web*' stands for all that match it. Flags can stand before or after names; -- ends
them. vmhuge never prompts. For several domains the largest exit status applies.

EXIT STATUS
  0
  1
  2
  3
  4`,
		Version:   version(),
		Writer:    p.stdout,
		ErrWriter: p.stderr,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "connect", Aliases: []string{"c"}, Usage: "`URI` libvirt to connect to", EnvVars: []string{"LIBVIRT_DEFAULT_URI"}, Value: "qemu:///system", Destination: &p.uri},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object", Destination: &p.json},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print only what is wrong", Destination: &p.quiet},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "also print what is fine", Destination: &p.verbose},
			&cli.BoolFlag{Name: "no-color", Usage: "no colours, as if $NO_COLOR were set", Destination: &p.noColor},
			&cli.StringFlag{Name: "root", Hidden: true, Value: "/", Destination: &p.root},
		},
		Commands: []*cli.Command{
			p.enableCommand(), p.startCommand(), p.stopCommand(), p.disableCommand(), p.collapseCommand(), p.memoryCommand(),
			p.checkCommand(), p.explainCommand(),
			p.verifyCommand(), p.statusCommand(), p.topCommand(), p.metricsCommand(), p.factsCommand(),
			p.prepareCommand(), p.hookCommand(), p.undoCommand(), p.uninstallCommand(),
			p.adviseCommand(), p.planCommand(), p.benchCommand(),
			p.xmlCommand(), p.execCommand(),
			p.completionCommand(), p.helpCommand(), p.completeCommand(), p.probeCommand(), p.manCommand(),
		},
		HideHelp:       true, // help.go has a better one
		Before:         p.locateLibvirt,
		Action:         func(c *cli.Context) error { return p.help(c.App, nil) },
		OnUsageError:   onUsageError,
		ExitErrHandler: func(*cli.Context, error) {}, // exit codes are exit.go's
	}
	setUp(app.Commands)
	return app
}

// setUp gives every command what urfave/cli does not hand down from the app:
// a command would print a usage error on stdout, and would take a domain of the
// name help for its own command help.
func setUp(commands []*cli.Command) {
	for _, command := range commands {
		command.HideHelp = true
		command.OnUsageError = onUsageError
		setUp(command.Subcommands)
	}
}

func onUsageError(_ *cli.Context, err error, _ bool) error { return usage("%s", err) }

// release is the version that a package has; the linker writes it.
var release string

func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

func (p *program) host() host.Host { return host.Host{Root: hostfs.Root(p.root)} }

// connect opens the libvirt that the user named.
func (p *program) connect() (*launcher.Launcher, error) {
	report, clear := p.progress(p.uri)
	defer clear()
	report("connecting", 0, 0)
	return launcher.Open(p.uri, p.host())
}
