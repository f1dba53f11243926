package check

import "strings"

// nodeFact begins the name of each fact about a node's pool.
const nodeFact = "node "

// About says whether a fact of the host shows the state that a domain's check, given by
// name, looks at: explain shows it if the domain is not known.
func (f Fact) About(check string) bool {
	switch check {
	case Pool.Name, Cgroup.Name:
		return strings.HasPrefix(f.Name, nodeFact)
	case Mount.Name, Path.Name:
		return f.Check == hugetlbfsCheck.Name
	case PageSize.Name:
		return f.Check == pageSizesCheck.Name
	}
	return false
}
