// Package hostprep has the words in which its rooms speak of a host and its
// guests: Guest, Finding, Severity, Verdict, Cause. The rooms themselves are the
// packages below it; ARCHITECTURE.md lists them.
package hostprep

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/advice"
)

// Severity is how much a finding weighs.
type Severity string

// The severities of a finding.
const (
	Blocker Severity = "blocker" // a plain start fails
	Warning Severity = "warning" // a start may fail, or not be what the user thinks
	Note    Severity = "note"
	OK      Severity = "ok" // said of a host alone, not of a domain
)

// Verdict is what a plain virsh start would come to now.
type Verdict string

// The verdicts of a check. A finding that blocks names the verdict it leads to.
const (
	Ready     Verdict = "ready"
	Running   Verdict = "running"
	NoMemory  Verdict = "no-memory"
	NoAccess  Verdict = "no-access"
	NoMount   Verdict = "no-mount"
	BadDomain Verdict = "bad-domain"
	BadHost   Verdict = "bad-host"
	Unknown   Verdict = "unknown"
)

// Finding is one thing that a check saw on the host: what is there, what is
// needed, and who must do what. Changes are what would mend it.
type Finding struct {
	Check    string          `json:"check"`
	Severity Severity        `json:"severity"`
	Have     string          `json:"have"`
	Need     string          `json:"need"`
	Do       string          `json:"do"`
	Fixable  bool            `json:"fixable"` // vmhuge start mends it
	Changes  []change.Change `json:"changes"`

	// Cause is the row of vmhuge explain that this is, if there is one: what
	// libvirt would say, and what helps.
	Cause Cause `json:"cause,omitempty"`

	// CouldMake is, where a pool is short, what the kernel could add to it.
	*CouldMake

	// Short is what could not be allocated, of a pool that could not grow.
	Short *pool.Short `json:"-"`

	// Restart says that libvirtd must be restarted, after the changes, to see
	// what is there. vmhuge start does not do that, so that such a finding is
	// not Fixable.
	Restart bool `json:"restart,omitempty"`

	// Reboot says that only the next boot brings what the changes, or a former run's, are for.
	Reboot bool `json:"reboot,omitempty"`

	// Verdict is what a blocker makes of the start. A warning with Unknown
	// says that the start may fail.
	Verdict Verdict `json:"-"`
}

// CouldNotTell is the finding of a check that could not tell.
func CouldNotTell(err error) Finding {
	f := Finding{Severity: Warning, Verdict: Unknown, Have: "cannot check: " + err.Error(), Need: "data that this check can read"}
	if told := (*advice.Error)(nil); errors.As(err, &told) {
		f.Have, f.Do = "cannot check: "+told.What+": "+told.Why, told.Do
	}
	if errors.Is(err, fs.ErrPermission) {
		f.Do = advice.Refused(os.Geteuid())
	}
	return f
}

// CouldMake is how many pages the kernel could add to a pool, after what the host
// keeps: at least, with memory as it lies now, and at most, once the kernel has
// moved and dropped all that it can. Of pages that are larger than what the buddy
// allocator has in one piece, such as 1 GiB, only as many are sure now as an area that the
// kernel keeps for them can give (hugetlb_cma=): else it looks for a range that it can empty.
type CouldMake struct {
	Now       int64 `json:"could_make"`
	Compacted int64 `json:"could_make_compacted"`
}

// Words are a part of a sentence: the kernel could allocate 310 more now, 900 after
// compaction.
func (c CouldMake) Words() string {
	switch {
	case c.Compacted == 0:
		return "the kernel could allocate no more"
	case c.Now == 0:
		return fmt.Sprintf("the kernel could allocate %d more at most, after compaction", c.Compacted)
	case c.Now == c.Compacted:
		return fmt.Sprintf("the kernel could allocate %d more", c.Now)
	}
	return fmt.Sprintf("the kernel could allocate %d more now, %d after compaction", c.Now, c.Compacted)
}
