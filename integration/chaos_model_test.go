package integration

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// chaosModel is what the pools must come to once all guests are gone: on each node the
// count that the last writer has asked for. It knows nothing of what vmhuge adds or keeps
// account of.
type chaosModel map[int]*expected

type expected struct {
	counts map[int]bool // the persistent counts that are right
	all    map[int]bool // every count that was right since there was a guest
	before map[int]bool // what the pool had before each write since then
}

func newChaosModel(counts map[int]int) chaosModel {
	m := chaosModel{}
	for node, n := range counts {
		m[node] = &expected{map[int]bool{n: true}, map[int]bool{n: true}, map[int]bool{}}
	}
	return m
}

// write is somebody who sets a node's pool. alone says that vmhuge wrote nothing at that
// time: of two who write at once either may be the last.
//
// To write the number that is there changes nothing, and neither does one that was there
// before: nobody can see that it was written.
func (m chaosModel) write(node, before, is int, alone bool) {
	e := m[node]
	switch {
	case !alone || is == before || e.before[is]:
		maps.Copy(e.counts, e.all)
		e.counts[is] = true
	default:
		e.counts = map[int]bool{is: true}
	}
	e.all[is], e.before[before] = true, true
}

// writeHost is somebody who sets all nodes by one number, while vmhuge writes nothing. It is
// seen to be for all of them, also for those that keep their count, if vmhuge looks before the
// next writer comes, and finds another count where nobody has opened the node's own file.
func (m chaosModel) writeHost(before, is map[int]int, unopened map[int]bool, alone, seen bool) {
	told := false
	for node, e := range m {
		told = told || unopened[node] && is[node] != before[node] && !e.before[is[node]]
	}
	for node, e := range m {
		if alone && seen && told {
			e.counts = map[int]bool{is[node]: true}
			e.all[is[node]], e.before[before[node]] = true, true
		} else {
			m.write(node, before[node], is[node], alone)
		}
	}
}

// wrong says where the pools are not as they must be.
func (m chaosModel) wrong(counts map[int]int) string {
	var wrong []string
	for node, e := range m {
		if !e.counts[counts[node]] {
			wrong = append(wrong, fmt.Sprintf("node %d has %d pages, not %v", node, counts[node], slices.Sorted(maps.Keys(e.counts))))
		}
	}
	slices.Sort(wrong)
	return strings.Join(wrong, "; ")
}
