package hostprep

// appArmorStep adds the rule that the named guests lack.
var appArmorStep = Step{"apparmor", func(h Host, p Preparation) ([]Finding, error) {
	for _, g := range p.Guests {
		if findings, err := appArmorCheck.Detect(h, g); len(findings) > 0 || err != nil {
			return findings, err // the rule is one for all
		}
	}
	return nil, nil
}}
