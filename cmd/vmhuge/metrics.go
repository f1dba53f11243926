package main

import (
	"net"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/capacity"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/ledger"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/metrics"
)

func (p *program) metricsCommand() *cli.Command {
	return &cli.Command{
		Name:     "metrics",
		Usage:    "export pools, guests and the hook for Prometheus",
		Category: watching,
		Description: `Without a flag it prints the metrics once. --listen serves them at
http://ADDRESS/metrics until SIGTERM: a port alone means 127.0.0.1, and 0.0.0.0:9981
is open to the network, without a password. --textfile writes a file for
node_exporter's textfile collector.

What cannot be read is reported on standard error and by vmhuge_scrape_success; the
other metrics are still there. Only root sees what backs the guests' RAM. See
docs/monitoring.md for alerts, a dashboard and a systemd unit.

FILES
  /sys/devices/system/node/
  /run/vmhuge/claims/
  /run/vmhuge/hook.log
EXIT STATUS
  0
  1
  2`,
		UsageText: `  vmhuge metrics
  vmhuge metrics --listen 9981
  vmhuge metrics --textfile /var/lib/prometheus/node-exporter/vmhuge.prom`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Usage: "`ADDRESS` serve the metrics at this address, such as 127.0.0.1:9981"},
			&cli.StringFlag{Name: "textfile", Usage: "`FILE` write the metrics to this file (node_exporter reads *.prom)"},
		},
		Action: func(c *cli.Context) error {
			if err := noNames(c); err != nil {
				return err
			}
			switch {
			case p.json:
				return usage("metrics has no JSON output; vmhuge status --json has the pools and guests")
			case c.IsSet("listen") && c.IsSet("textfile"):
				return usage("--listen and --textfile cannot be combined")
			case c.IsSet("listen"):
				return p.serveMetrics(c)
			case c.IsSet("textfile"):
				path := c.String("textfile")
				if filepath.Ext(path) != ".prom" {
					return usage("--textfile: node_exporter reads only files that end in .prom, and %q does not", path)
				}
				if err := p.exporter().WriteFile(path); err != nil {
					return advice.Wrap(err, "writing the metrics", "name a file in a folder that you can write to")
				}
				return nil
			}
			if err := p.exporter().WriteText(p.stdout); err != nil {
				return advice.Wrap(err, "printing the metrics", "")
			}
			return nil
		},
	}
}

func (p *program) serveMetrics(c *cli.Context) error {
	address, err := metrics.ParseAddress(c.String("listen"))
	if err != nil {
		return usage("--listen: %s", err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return advice.Wrap(err, "serving the metrics", "use another --listen address")
	}
	p.say("serving http://%s/metrics", listener.Addr())
	if err := p.exporter().Serve(c.Context, listener); err != nil {
		return advice.Wrap(err, "serving the metrics", "")
	}
	return nil
}

// exporter looks at the host with functions that only read. It connects to
// libvirt anew each time: a libvirtd that is restarted, or starts when it is
// asked and ends when nobody is left, is not in its way.
func (p *program) exporter() *metrics.Exporter {
	host := p.host()
	return metrics.New(version(), metrics.Sources{
		Pools:  host.Pools,
		Memory: p.readMemory,
		Claims: func() ([]ledger.Claim, error) { return ledger.ReadClaims(host.Root) },
		Guests: p.readGuests,
		Hook: func() (h metrics.Hook, err error) {
			h.Status, err = hook.ReadStatus(host)
			if err == nil {
				h.Events, err = hook.Events(host)
			}
			return h, err
		},
		Failed: func(collector string, err error) { p.warn("%s: %s", collector, oneLine(err.Error())) },
	})
}

func (p *program) readGuests() ([]metrics.Guest, error) {
	l, err := p.connect()
	if err != nil {
		return nil, err
	}
	defer l.Close()
	reports, err := l.Running()
	var guests []metrics.Guest
	for _, r := range reports {
		guests = append(guests, metrics.Guest{Name: r.Name, UUID: r.UUID, Running: r.Active(), Backing: r.Backing, Demand: r.Totals, Proof: r.Proof})
	}
	return guests, err
}

func (p *program) readMemory() (m metrics.Memory, err error) {
	host := p.host().Snapshot()
	mem, err := host.Meminfo()
	if err != nil {
		return m, err
	}
	if m.Pools, err = host.Pools(); err != nil {
		return m, err
	}
	if mem.CMA != nil {
		m.Area, m.AreaFree = mem.CMA.TotalKiB*pages.KiB, mem.CMA.FreeKiB*pages.KiB
	}
	headroomKiB, reserve, err := capacity.Headroom(host, 0)
	m.Total, m.Available, m.Reserve, m.Headroom = mem.Total, mem.Available, reserve, max(0, headroomKiB*pages.KiB)
	if err != nil {
		return m, err
	}
	if growth, err := capacity.ReadGrowth(host, headroomKiB, reserve); err == nil { // else the kernel does not tell
		for _, p := range m.Pools.Pools {
			m.CouldMake = append(m.CouldMake, metrics.CouldMake{Node: p.Node, Size: p.Size, CouldMake: growth.On(p.Size, []int{p.Node})})
		}
	}
	return m, nil
}
