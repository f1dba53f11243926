package integration

import (
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// share is how many commits it takes, on average, until each row of a table has run: a
// commit runs one row of so many.
const share = 6

// sampled returns the rows of a table that a commit runs, or all of them without SAMPLE.
// just test sets SAMPLE to a number from the commit, for it has no time for every row: each
// takes seconds on the machine, and 20 in a micro-VM. just test-whole runs them all.
func sampled[T any](t *testing.T, rows []T) []T {
	t.Helper()
	commit := number(t, "SAMPLE", -1)
	if commit < 0 || len(rows) == 0 {
		return rows
	}
	// Each table has a turn of its own: of tables within tables, all combinations come up.
	table := fnv.New64a()
	_, _ = table.Write([]byte(t.Name()))
	var sample []T
	for i := rand.New(rand.NewPCG(uint64(commit), table.Sum64())).IntN(min(share, len(rows))); i < len(rows); i += share {
		sample = append(sample, rows[i])
	}
	t.Logf("SAMPLE=%d: %d of %d rows", commit, len(sample), len(rows))
	return sample
}

// sampledNames is sampled for a table by name.
func sampledNames[T any](t *testing.T, rows map[string]T) []string {
	t.Helper()
	return sampled(t, slices.Sorted(maps.Keys(rows)))
}
