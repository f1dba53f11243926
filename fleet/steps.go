package fleet

import (
	"fmt"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/plan"
	"vmhuge/internal/advice"
	"vmhuge/internal/shell"
)

// Steps are the shell commands that bring a guest to a host: a domain of the libvirt at
// source, or with source "" the domain of a file.
func Steps(c hostprep.Candidate, file, source string, to Host) []string {
	on, there, name := "virsh -c "+shell.Quote(source), "virsh -c "+shell.Quote(to.URI), shell.Quote(c.Name)
	switch {
	case source == to.URI:
		return []string{there + " start --domain " + name}
	case source == "":
		return []string{there + " define --file " + shell.Quote(file), there + " start --domain " + name}
	case c.Runs:
		return []string{on + " migrate --live --persistent --domain " + name + " --desturi " + shell.Quote(to.URI)}
	}
	return []string{on + " migrate --offline --persistent --domain " + name + " --desturi " + shell.Quote(to.URI), there + " start --domain " + name}
}

// Inventory is the hosts that get guests, as an inventory of Ansible: a group vmhuge, whose
// hosts have their guests in vmhuge_domains. A name that Ansible would evaluate is refused.
func Inventory(p plan.Placement, hosts []Host) (map[string]any, error) {
	type vars struct {
		Domains    []string `json:"vmhuge_domains"`
		Connection string   `json:"ansible_connection,omitempty"`
	}
	inventory := map[string]*vars{}
	for i, filled := range p.Hosts {
		if len(filled.Guests) == 0 {
			continue
		}
		name := hosts[i].Name()
		if inventory[name] == nil {
			inventory[name] = &vars{}
			if name == "localhost" {
				inventory[name].Connection = "local"
			}
		}
		for _, guest := range filled.Guests {
			if strings.Contains(guest, "{{") || strings.Contains(guest, "{%") {
				return nil, advice.New("the inventory", fmt.Sprintf("Ansible would evaluate the name %q", guest), "rename the domain: virsh domrename")
			}
			inventory[name].Domains = append(inventory[name].Domains, guest)
		}
	}
	return map[string]any{"vmhuge": map[string]any{"hosts": inventory}}, nil
}
