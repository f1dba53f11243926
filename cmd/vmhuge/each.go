package main

import (
	"encoding/json"
	"reflect"

	"vmhuge/hostprep/change"
)

// outcome is what became of one domain: an answer, an error, or both.
type outcome[T any] struct {
	name   string
	answer T
	err    error
}

// MarshalJSON writes the answer's fields, and the error beside them.
func (o outcome[T]) MarshalJSON() ([]byte, error) {
	noNulls(reflect.ValueOf(&o.answer).Elem())
	text, err := marshal(o.answer)
	if err != nil || o.err == nil {
		return text, err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	if string(fields["name"]) == `""` { // not even found
		fields["name"], err = marshal(o.name)
		if err != nil {
			return nil, err
		}
	}
	fields["error"], err = marshal(errorOf(o.err))
	if err != nil {
		return nil, err
	}
	return marshal(fields)
}

// each does the same for every named domain. Each is tried, each gets its own
// line, and the largest exit code counts.
func each[T any](p *program, names []string, do func(name string) (T, error), show func(T), code func(T) int) error {
	var outcomes []outcome[T]
	worst := exitDone
	for _, name := range names {
		answer, err := do(name)
		outcomes = append(outcomes, outcome[T]{name, answer, err})
		changed, _ := any(answer).(interface{ Changes() []change.Change })
		if err != nil && len(names) == 1 && p.json {
			if changed != nil && len(changed.Changes()) > 0 {
				return halfway{err, map[string]any{"domains": outcomes}}
			}
			return err
		}
		if err != nil {
			if changed != nil {
				for _, change := range changed.Changes() {
					p.say("%s: done: %s", oneLine(name), changeWords(change))
				}
			}
			p.complain(err)
			worst = max(worst, codeOf(err))
			continue
		}
		if !p.json {
			show(answer)
		}
		worst = max(worst, code(answer))
	}
	if p.json {
		p.printJSON(map[string]any{"domains": outcomes})
	}
	return answered(worst)
}
