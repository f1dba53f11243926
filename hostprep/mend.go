package hostprep

// Mending returns the changes that mend what blocks a start, or may, as far as
// that is possible, for Journal.Apply. Those of the pools are not among them:
// pages are held after.
func Mending(findings []Finding) []Change {
	var changes []Change
	for _, f := range findings {
		if f.Severity == Note || !f.Fixable {
			continue
		}
		for _, change := range f.Changes {
			if change.Kind != KindPool {
				changes = append(changes, change)
			}
		}
	}
	return changes
}
