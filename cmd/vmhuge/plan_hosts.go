package main

import (
	"bytes"
	"cmp"
	"errors"

	"github.com/urfave/cli/v2"

	"vmhuge/fleet"
	"vmhuge/internal/advice"
)

// plannedHosts are the hosts that can be asked, in the order of the flags, those with
// facts last.
func (p *program) plannedHosts(c *cli.Context) (hosts []fleet.Host, answer placed, err error) {
	uris := c.StringSlice("on")
	asked, errs := fleet.Ask(uris, fleet.FromLibvirt)
	for i, host := range asked {
		if errs[i] == nil {
			hosts = append(hosts, host)
		} else {
			answer.Unreachable = append(answer.Unreachable, unreachableHost{uris[i], errorOf(errs[i]), errs[i]})
		}
	}
	for _, path := range c.StringSlice("facts") {
		text, err := p.read(path)
		if err != nil {
			return nil, answer, err
		}
		recorded, err := fleet.ReadRecorded(bytes.NewReader(text))
		if err != nil {
			return nil, answer, advice.About(err, "%s", path)
		}
		hosts = append(hosts, recorded...)
	}
	if len(hosts) == 0 {
		return nil, answer, cmp.Or[error](errors.Join(errs...), advice.New("reading the facts", "no host is in them", "record them with vmhuge facts"))
	}
	names := map[string]bool{}
	for _, host := range hosts {
		if names[host.Site.Name] {
			return nil, answer, usage("the host %s is named twice", host.Site.Name)
		}
		names[host.Site.Name] = true
	}
	return hosts, answer, nil
}
