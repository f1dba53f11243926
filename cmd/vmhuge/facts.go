package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/fleet"
)

func (p *program) factsCommand() *cli.Command {
	return &cli.Command{
		Name:     "facts",
		Usage:    "print what automation needs to know about this host, as one JSON object",
		Category: watching,
		UsageText: `  vmhuge facts
  vmhuge facts > host1.json && vmhuge plan --facts host1.json --file web1.xml`,
		Description: `Prints the versions of vmhuge, libvirt, QEMU and the kernel, the page pools by node and
size with what the kernel could still allocate, the headroom, the hook, and each
domain with its verdict as by vmhuge check. Changes nothing.

It does not fail: if libvirt cannot be reached or does not answer within 15 s,
domains_error says so; if the host's files cannot be read, host_error does. An
executable file in /etc/ansible/facts.d that runs it gives Ansible these facts; see
docs/ansible.md. vmhuge plan --facts reads them.

FILES
  /proc/meminfo
  /sys/devices/system/node/
  /run/vmhuge/hook.log
EXIT STATUS
  0
  2`,
		Action: func(c *cli.Context) error {
			if err := noNames(c); err != nil {
				return err
			}
			answer := factsAnswer{Facts: fleet.ReadFacts(p.host(), p.uri, version())}
			if err := answer.DomainsErr; err != nil {
				told := errorOf(err)
				answer.DomainsError = &told
			}
			if err := answer.HostErr; err != nil {
				told := errorOf(err)
				answer.HostError = &told
			}
			p.printJSON(answer)
			return nil
		},
	}
}

// factsAnswer is the facts in JSON.
type factsAnswer struct {
	fleet.Facts
	DomainsError *jsonError `json:"domains_error,omitempty"`
	HostError    *jsonError `json:"host_error,omitempty"`
}
