package main

import (
	"embed"
	"fmt"

	"github.com/urfave/cli/v2"
)

// completions are the scripts that the shells load. All that they know they ask
// vmhuge for, word by word.
//
//go:embed completion
var completions embed.FS

func (p *program) completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion script for bash, zsh or fish",
		Category:  helping,
		ArgsUsage: "bash|zsh|fish",
		Description: `The script completes commands, flags, their values and domain names. The packages
install it already; without them, source it or save it where your shell looks for
completions.

FILES
  /usr/share/bash-completion/completions/vmhuge
  /usr/share/zsh/vendor-completions/_vmhuge
  /usr/share/fish/vendor_completions.d/vmhuge.fish
EXIT STATUS
  0
  2`,
		UsageText: `  source <(vmhuge completion bash)
  vmhuge completion fish > ~/.config/fish/completions/vmhuge.fish`,
		Action: func(c *cli.Context) error {
			script, err := completions.ReadFile("completion/vmhuge." + c.Args().First())
			if err != nil || c.NArg() != 1 {
				return usage("completion needs one shell: bash, zsh or fish")
			}
			_, err = p.stdout.Write(script)
			return err
		},
	}
}

// completeCommand answers the scripts. It is given the words of a command line
// up to the one at the cursor, and prints what that one may become, a line each:
// a word and, behind a tab, what it is. Which of them fit what is there already
// is the shell's to decide, as each has its own way. The line :files stands for
// the names of files.
func (p *program) completeCommand() *cli.Command {
	return &cli.Command{
		Name:   "__complete",
		Hidden: true,
		Action: func(c *cli.Context) error {
			if words := c.Args().Slice(); len(words) > 0 {
				for _, word := range p.complete(c.App, words[:len(words)-1], words[len(words)-1]) {
					fmt.Fprintln(p.stdout, word)
				}
			}
			return nil
		},
	}
}
