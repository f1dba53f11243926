package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"sync"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/plan"
	"vmhuge/internal/advice"
	"vmhuge/launcher"
)

// Host is one of several hosts.
type Host struct {
	URI  string // of its libvirt, from here
	Site plan.Site
	dest *launcher.Dest
}

// atOnce is how many hosts are asked at a time.
const atOnce = 32

// Ask asks the libvirt of each host, at most for 15 s: hosts[i] or errs[i] is of uris[i].
func Ask[T any](uris []string, ask func(d *launcher.Dest) (T, error)) (answers []T, errs []error) {
	answers, errs = make([]T, len(uris)), make([]error, len(uris))
	var asked sync.WaitGroup
	turn := make(chan struct{}, atOnce)
	for i, uri := range uris {
		asked.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			answers[i], errs[i] = within(patience, uri, func() (none T, err error) {
				d, err := launcher.OpenDest(uri)
				if err != nil {
					return none, err
				}
				return ask(d)
			})
		})
	}
	asked.Wait()
	return answers, errs
}

// FromLibvirt is a host as its libvirt shows it. The connection stays open: Site.Bars asks
// it about guests.
func FromLibvirt(d *launcher.Dest) (Host, error) {
	running, err := d.Running()
	site := plan.Site{Name: d.URI, Host: d.PlanHost(), Running: running}
	var lost error // it is not waited for a second time
	site.Bars = func(c hostprep.Candidate) string {
		if lost != nil {
			return lost.Error()
		}
		why, err := within(patience, d.URI, func() (string, error) { return d.Bars(c), nil })
		if lost = err; err != nil {
			return err.Error()
		}
		return why
	}
	return Host{URI: d.URI, Site: site, dest: d}, err
}

// Close ends the connection to the host, if there is one.
func (h Host) Close() {
	if h.dest != nil {
		h.dest.Close()
	}
}

// Name is the host as ssh and Ansible name it; localhost: this one.
func (h Host) Name() string {
	if u, err := url.Parse(h.URI); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	return "localhost"
}

// ReadRecorded reads the facts of hosts, one object after another, as vmhuge facts prints
// them.
func ReadRecorded(r io.Reader) (hosts []Host, err error) {
	for decoder := json.NewDecoder(r); ; {
		var f Facts
		err := decoder.Decode(&f)
		if errors.Is(err, io.EOF) {
			return hosts, nil
		}
		if err == nil && (f.Hostname == "" || len(f.Host.Nodes) == 0) {
			err = fmt.Errorf("object %d has no hostname or no nodes", len(hosts)+1)
		}
		if err != nil {
			return nil, advice.Wrap(err, "reading the facts", "record them with vmhuge facts")
		}
		hosts = append(hosts, f.onPaper())
	}
}

// onPaper is the host that the facts tell of.
func (f Facts) onPaper() Host {
	uri := url.URL{Scheme: "qemu+ssh", Host: f.Hostname, Path: "/system"}
	site := plan.Site{Name: f.Hostname, Host: f.Host, Grows: f.Hook.Ready, Bars: f.bars}
	for _, d := range f.Domains {
		if d.Verdict == hostprep.Running {
			site.Running = append(site.Running, d.UUID)
		}
	}
	return Host{URI: uri.String(), Site: site}
}

// bars is launcher.Dest's Bars by what is recorded.
func (f Facts) bars(c hostprep.Candidate) string {
	if f.Hook.Ready { // it mounts what is missing
		return ""
	}
	for _, item := range c.Demand.Items {
		if size := item.PageSize; item.Source != "memfd" && !slices.ContainsFunc(f.Mounts, func(m host.Mount) bool { return m.Size == size }) {
			return "no hugetlbfs is mounted for pages of " + size.String()
		}
	}
	return ""
}
