// Package fleet is what several hosts are like: the facts of one in an object that can be
// recorded, and which guests fit on which of many.
package fleet

import (
	"errors"
	"os"
	"strings"
	"time"

	"vmhuge/hostprep"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/plan"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
	"vmhuge/launcher"
)

// Facts is what automation asks of a host.
type Facts struct {
	Hostname string                `json:"hostname"`
	Versions Versions              `json:"versions"`
	Pools    []launcher.PoolStatus `json:"pools"`
	Mounts   []host.Mount          `json:"mounts"`
	// HeadroomKiB is how much the pools may still grow with the host keeping ReserveKiB.
	HeadroomKiB int64       `json:"headroom_kib"`
	ReserveKiB  int64       `json:"reserve_kib"`
	Hook        hook.Status `json:"hook"`
	THP         host.THP    `json:"thp"`
	Domains     []Domain    `json:"domains"`
	// Host is what plan --facts needs of it.
	Host plan.Host `json:"host"`

	HostErr    error `json:"-"` // the host could not be read, in part or whole
	DomainsErr error `json:"-"` // its domains are not known
}

// Versions are the versions of what there is; "": not known.
type Versions struct {
	VMHuge  string `json:"vmhuge"`
	Libvirt string `json:"libvirt"`
	QEMU    string `json:"qemu"`
	Kernel  string `json:"kernel"`
}

// Domain is a guest, and whether it would start now.
type Domain struct {
	Name    string           `json:"name"`
	UUID    string           `json:"uuid"`
	State   launcher.State   `json:"state"`
	Backing pages.Backing    `json:"backing"`
	Totals  []pages.Total    `json:"totals"`
	Verdict hostprep.Verdict `json:"verdict"`
	Ready   bool             `json:"ready"`
}

// patience is how long a libvirt may take to answer.
const patience = 15 * time.Second

// ReadFacts reads the facts of a host and its libvirt. It changes nothing, and what can't
// be read is an error in the facts.
func ReadFacts(h host.Host, uri, vmhuge string) Facts {
	f := Facts{Versions: Versions{VMHuge: vmhuge}}
	f.Hostname = read(h, "/proc/sys/kernel/hostname")
	if name, err := os.Hostname(); f.Hostname == "" && err == nil && h.Real() {
		f.Hostname = name
	}
	f.Versions.Kernel = read(h, "/proc/sys/kernel/osrelease")
	h = h.Snapshot()
	status, err := launcher.ReadHostStatus(h)
	f.HostErr = err
	f.Pools, f.Mounts, f.Hook, f.THP = status.Pools, status.Mounts, status.Hook, status.THP
	f.HeadroomKiB, f.ReserveKiB = status.HeadroomKiB, status.ReserveKiB
	if f.Host, err = plan.ReadHost(h, 0); f.HostErr == nil {
		f.HostErr = err
	}
	type answer struct {
		versions Versions
		domains  []Domain
		err      error
	}
	a, err := within(patience, uri, func() (a answer, err error) {
		a.versions, a.domains, err = readDomains(uri, h)
		return a, err
	})
	f.Versions.Libvirt, f.Versions.QEMU = a.versions.Libvirt, a.versions.QEMU
	f.Domains, f.DomainsErr = a.domains, err
	return f
}

func read(h host.Host, path string) string {
	text, _ := h.ReadIfThere(path)
	return strings.TrimSpace(text)
}

func readDomains(uri string, h host.Host) (v Versions, domains []Domain, err error) {
	l, err := launcher.Open(uri, h)
	if err != nil {
		return v, nil, err
	}
	defer l.Close()
	v.Libvirt, v.QEMU = l.Versions()
	names, err := l.Names()
	if err != nil {
		return v, nil, err
	}
	if err := l.Survey(names); err != nil {
		return v, nil, err
	}
	var failed error
	for _, name := range names {
		r, err := l.Check(name)
		if err != nil {
			failed = errors.Join(failed, err)
			if r.Name == "" {
				continue
			}
		}
		domains = append(domains, Domain{r.Name, r.UUID, r.State, r.Backing, r.Totals, r.Verdict, r.Ready})
	}
	return v, domains, failed
}

// within waits for an answer of a libvirt, and no longer than this: an ssh may ask for a
// password, and a daemon may hang.
func within[T any](wait time.Duration, uri string, ask func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := ask()
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-time.After(wait):
		var none T
		return none, advice.New("asking "+uri, "it has not answered in "+wait.String(), "see that virsh -c "+shell.Quote(uri)+" list works without a password")
	}
}
