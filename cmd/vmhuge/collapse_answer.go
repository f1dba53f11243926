package main

import (
	"fmt"
	"maps"
	"slices"

	"vmhuge/hostprep/collapse"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

func codeOfCollapsed(c launcher.Collapsed) int {
	if c.Reached {
		return exitDone
	}
	return exitNoMemory
}

func (p *program) showCollapsed(c launcher.Collapsed) {
	say := p.say
	if !c.Reached {
		say = p.insist
	}
	whose := "its RAM in use"
	if c.Node >= 0 {
		whose = fmt.Sprintf("its RAM on node %d", c.Node)
	}
	verb := "is"
	if c.DryRun {
		verb = "could be"
	}
	text := fmt.Sprintf("%s: %g %% of %s %s on huge pages", oneLine(c.Name), c.Percent, whose, verb)
	if !c.Reached {
		text += fmt.Sprintf("; asked for: at least %g %%", c.AtLeastPercent)
	}
	say("%s", text)
	if c.DryRun {
		say("  now: %s", accountWords(c.Before))
		say("  %s could be asked for", pages.FormatKiB(c.TryKiB))
	} else {
		say("  before: %s", accountWords(c.Before))
		say("  after %.1f s: %s", c.Seconds, accountWords(c.After))
		for _, node := range slices.Sorted(maps.Keys(c.After.ByNode)) {
			say("  node %s holds %s, before %s", node, pages.FormatKiB(c.After.ByNode[node]), pages.FormatKiB(c.Before.ByNode[node]))
		}
	}
	if c.After.HugetlbKiB > 0 {
		say("  %s on pages of a pool, which need no collapse", pages.FormatKiB(c.After.HugetlbKiB))
	}
	for _, left := range c.Left {
		say("  not collapsed: %s %s", pages.FormatKiB(left.KiB), reasonWords(left.Reason))
	}
	if words := stopWords(c.Stopped); words != "" {
		say("  stopped: %s", words)
	}
	if c.CouldMake != nil {
		say("  of huge pages, %s", c.Words())
	}
}

func accountWords(a collapse.Account) string {
	text := fmt.Sprintf("%s on huge pages, %s on small pages", pages.FormatKiB(a.HugeKiB), pages.FormatKiB(a.SmallKiB))
	if a.UntouchedKiB > 0 {
		text += fmt.Sprintf(", %s not touched yet", pages.FormatKiB(a.UntouchedKiB))
	}
	return text
}

func reasonWords(r collapse.Reason) string {
	switch r {
	case collapse.Unaligned:
		return "are not aligned to huge pages, as QEMU lays out shared memory"
	case collapse.Untouched:
		return "have no pages yet: the guest has not touched them"
	case collapse.Swapped:
		return "are partly swapped out"
	case collapse.NoBlock:
		return "found no free block of memory, even after compaction (ENOMEM)"
	case collapse.CgroupMax:
		return "would exceed the limit of the guest's memory cgroup (EBUSY)"
	case collapse.Busy:
		return "are pinned, as for a passed-through device, or were in use (EAGAIN)"
	case collapse.NotTried:
		return "were not tried"
	}
	return "were refused by the kernel (EINVAL)"
}

func stopWords(s collapse.Stop) string {
	switch s {
	case collapse.NoGain:
		return "another try gained nothing"
	case collapse.OutOfBlocks:
		return "the kernel finds no more free blocks"
	case collapse.AtReserve:
		return "the host would have less memory available than its reserve allows"
	case collapse.OutOfTime:
		return "the budget is used up; run it again, or raise --budget"
	case collapse.Interrupted:
		return "interrupted; what is collapsed stays collapsed"
	}
	return ""
}
