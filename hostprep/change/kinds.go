package change

import (
	"fmt"
	"slices"
	"strings"

	"vmhuge/hostprep/host"
)

// Kind says what a Change does. Each is described by a value in a file of its own,
// where its From and To are explained; "" is always: not there.
type Kind string

// kind is what there is to know of one Kind without making the change, which is
// journal's part.
type kind struct {
	name Kind
	// find returns what is there now, written as From and To are. parent is the open
	// folder of the change's Path, name the last part of that.
	find func(c Change, h host.Host, parent int, name string) (string, error)
	// line is the change as a line of shell.
	line func(c Change) string
	// reverse corrects a change whose From and To have changed places; nil: that is
	// all there is to it.
	reverse func(c *Change)
	// onDisk says whether the change outlives a reboot; nil: it does not.
	onDisk func(c Change) bool
	// valid refuses what is no change of the kind; nil: all are.
	valid func(c Change) error
	// shared says that Path alone does not tell what is changed: many changes
	// of one Path may stand beside each other.
	shared bool
}

// kinds lists every kind.
var kinds = []kind{
	chmod, chown, mkdir, rmdir, mount, poolKind, fileKind, copyKind, link, sysfs, member, kernelArgs,
}

// Kinds returns the name of every kind.
func Kinds() []Kind {
	var names []Kind
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// unknown stands for a kind that is not in the table. Nothing is found of it.
var unknown = kind{
	find:  func(c Change, _ host.Host, _ int, _ string) (string, error) { return "", noKind(c) },
	line:  func(c Change) string { return c.toFrom(string(c.Kind) + " %s %s") },
	valid: noKind,
}

func noKind(c Change) error { return fmt.Errorf("%q is not a kind of change", c.Kind) }

func (c Change) kind() kind {
	if i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == c.Kind }); i >= 0 {
		return kinds[i]
	}
	return unknown
}

// always is the answer of kinds that do not depend on the change.
func always(Change) bool { return true }

// Valid returns why it is no change that could be made and taken back.
func (c Change) Valid() error {
	if valid := c.kind().valid; valid != nil {
		if err := valid(c); err != nil {
			return err
		}
	}
	if !strings.HasPrefix(c.Path, "/") || c.From == c.To {
		return fmt.Errorf("%q from %q to %q is not a change", c.Path, c.From, c.To)
	}
	return nil
}

// String is the change as a line of shell.
func (c Change) String() string { return c.kind().line(c) }

// Reverse returns the change that takes c back.
func (c Change) Reverse() Change {
	reverse := c.kind().reverse
	c.From, c.To = c.To, c.From
	if reverse != nil {
		reverse(&c)
	}
	return c
}

// OnDisk says whether the change outlives a reboot. All else is the kernel's and
// ends with it.
func (c Change) OnDisk() bool {
	onDisk := c.kind().onDisk
	return onDisk != nil && onDisk(c)
}

// Continues says whether c changes what before has changed, from there on: the two
// are one change from before.From to c.To.
func (c Change) Continues(before Change) bool {
	return !before.kind().shared && before.Path == c.Path && before.To == c.From &&
		slices.Contains([]Kind{before.Kind, before.Reverse().Kind}, c.Kind)
}

// Join writes changes as one line, as a person would type them.
func Join(changes []Change) string {
	var lines []string
	for _, c := range changes {
		lines = append(lines, c.String())
	}
	return strings.Join(lines, " && ")
}

// toFrom is the usual line of a change of a value that is there before and after.
func (c Change) toFrom(format string) string {
	return fmt.Sprintf(format+" (was %s)", c.To, c.Path, c.From)
}
