package prepare

import (
	"vmhuge/hostprep"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
)

// appArmorStep adds the rule that the named guests lack.
var appArmorStep = Step{"apparmor", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	for _, g := range p.Guests {
		if findings, err := check.AppArmor.Detect(h, g); len(findings) > 0 || err != nil {
			return findings, err // the rule is one for all
		}
	}
	return nil, nil
}}
