package integration

import "testing"

// sampled returns every third of a table's rows, which SAMPLE=NUMBER picks, or all of them
// without SAMPLE: just test takes the number from the commit, for it has no time for rows
// that take seconds on the machine and a quarter of a minute in a micro-VM.
// just fault-table runs them all.
func sampled[T any](t *testing.T, rows []T) []T {
	t.Helper()
	const of = 3
	picked := number(t, "SAMPLE", -1)
	if picked < 0 {
		return rows
	}
	var sample []T
	for i := picked % of; i < len(rows); i += of {
		sample = append(sample, rows[i])
	}
	t.Logf("SAMPLE=%d: %d of %d rows", picked, len(sample), len(rows))
	return sample
}
