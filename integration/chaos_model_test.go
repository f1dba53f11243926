package integration

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// chaosModel is what the pools must come to once all guests are gone: on each node the
// count that it had when the last writer had set a pool, as the number may have been for all
// nodes together. It knows nothing of what vmhuge adds or keeps account of.
type chaosModel map[int]*expected

type expected struct {
	counts map[int]bool // the persistent counts that are right
	all    map[int]bool // every count that was right since there was a guest
	before map[int]bool // what the pool had before each write since then
	more   bool         // and every count above the least that is right
	ever   bool         // that was so since there was a guest
}

func newChaosModel(counts map[int]int) chaosModel {
	m := chaosModel{}
	for node, n := range counts {
		m[node] = &expected{map[int]bool{n: true}, map[int]bool{n: true}, map[int]bool{}, false, false}
	}
	return m
}

// write is somebody who sets the pools of some nodes; before and is are the counts of all.
// alone says that vmhuge wrote nothing at that time: of two who write at once either may be
// the last, and on other nodes vmhuge may have added pages before it sees the write.
//
// To write the number that is there changes nothing, and neither does one that was there
// before: nobody can see that it was written.
func (m chaosModel) write(nodes []int, before, is map[int]int, alone bool) {
	seen := alone && slices.ContainsFunc(nodes, func(node int) bool {
		return is[node] != before[node] && !m[node].before[is[node]]
	})
	for node, e := range m {
		if seen {
			e.counts, e.more = map[int]bool{}, false
		} else {
			maps.Copy(e.counts, e.all)
			e.ever = e.ever || !alone && !slices.Contains(nodes, node)
			e.more = e.ever
		}
		e.counts[is[node]] = true
		e.all[is[node]], e.before[before[node]] = true, true
	}
}

// wrong says where the pools are not as they must be.
func (m chaosModel) wrong(counts map[int]int) string {
	var wrong []string
	for node, e := range m {
		right := slices.Sorted(maps.Keys(e.counts))
		if n := counts[node]; !e.counts[n] && !(e.more && n > right[0]) {
			wrong = append(wrong, fmt.Sprintf("node %d has %d pages, not %v", node, n, right))
		}
	}
	slices.Sort(wrong)
	return strings.Join(wrong, "; ")
}
