package hostprep

import (
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
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
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	Have     string   `json:"have"`
	Need     string   `json:"need"`
	Do       string   `json:"do"`
	Fixable  bool     `json:"fixable"` // vmhuge start mends it
	Changes  []Change `json:"changes"`

	// Cause is the row of vmhuge explain that this is, if there is one: what
	// libvirt would say, and what helps.
	Cause Cause `json:"cause,omitempty"`

	// CouldMake is, where a pool is short, what the kernel could add to it.
	*CouldMake

	// Restart says that libvirtd must be restarted, after the changes, to see
	// what is there. vmhuge start does not do that, so that such a finding is
	// not Fixable.
	Restart bool `json:"restart,omitempty"`

	// Verdict is what a blocker makes of the start. A warning with Unknown
	// says that the start may fail.
	Verdict Verdict `json:"-"`
}

// Guest is what a check must know of a domain that shall start.
type Guest struct {
	Demand pages.Demand
	// BaseDir is the folder below each hugetlbfs mount in which libvirt makes
	// one folder a guest: libvirt/qemu for qemu:///system.
	BaseDir string
	// Session says that an unprivileged daemon starts the guest as its own user.
	Session bool
	// UID is the user of a Session.
	UID int
	// Conf is the driver's qemu.conf; "": /etc/libvirt/qemu.conf. That of a
	// Session lies in the user's ~/.config/libvirt.
	Conf string
	// DefaultSize says that the domain leaves the page size to libvirt, which
	// knows none without a mount.
	DefaultSize bool
	// ID is the id that libvirt has given to this start; 0: not known, which is
	// so everywhere but in the hook.
	ID int
	// RunningIDs are the ids of the domains that run now. nil: not known; then
	// no folder counts as left behind because of its id.
	RunningIDs []int
	// Pending is what other guests that are starting will yet take.
	Pending []pool.Pending
	// HeadroomKiB is how much the pools may still grow.
	HeadroomKiB int64
	// KnownSizes are the page sizes for which the running daemon is known to have
	// a mount, whatever its age and the folders on it say.
	KnownSizes []pages.Size
	// Libvirt and QEMU are the versions of who starts it, as 9001000 is 9.1.0;
	// 0: not known.
	Libvirt, QEMU uint32
	// Reserve is the ordinary memory in bytes that the host keeps, which is
	// already taken off HeadroomKiB.
	Reserve int64
	// Traits is what prepare has to say more of the domain; only it asks.
	Traits pages.Traits

	driver func() (driver, error) // that a Run has looked at
	// kept is what min_size= of its mounts keeps for it of what is reserved.
	kept map[pages.Size]int64
}

// Check is one question about the host. Detect never writes. A bad host is a
// finding; an error means that the check could not tell.
type Check struct {
	Name   string
	Detect func(Host, Guest) ([]Finding, error)
}
