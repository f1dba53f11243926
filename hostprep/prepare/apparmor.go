package prepare

import (
	"vmhuge/hostprep"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
)

// appArmorStep adds the rules that the named guests lack.
var appArmorStep = Step{"apparmor", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	return check.LacksOfAppArmor(h, p.Guests)
}}
