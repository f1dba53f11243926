package hostpage

import (
	"strings"

	"vmhuge/hostprep/check"
)

// nodeFact begins the name of each fact about a node's pool.
const nodeFact = "node "

// About says whether a fact of the host shows the state that a domain's check, given by
// name, looks at: explain shows it if the domain is not known.
func (f Fact) About(by string) bool {
	switch by {
	case check.Pool.Name, check.Cgroup.Name:
		return strings.HasPrefix(f.Name, nodeFact)
	case check.Mount.Name, check.Path.Name:
		return f.Check == hugetlbfsCheck.Name
	case check.PageSize.Name:
		return f.Check == pageSizesCheck.Name
	}
	return false
}
