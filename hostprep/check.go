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

// Guest is what a check must know of a domain that shall start. NewGuest makes it.
type Guest struct {
	Demand pages.Demand
	// Traits is what prepare has to say more of the domain; only it asks.
	Traits pages.Traits
	Starter
	IDs
	Allowance
	// KnownSizes are the page sizes for which the running daemon has said that it
	// has a mount, whatever its age and the folders on it say.
	KnownSizes []pages.Size
}

// NewGuest puts together what is known of a guest. What is not known has a value
// that says so: UnknownVersion, UnknownID, Unasked.
func NewGuest(demand pages.Demand, traits pages.Traits, by Starter, ids IDs, allowance Allowance) Guest {
	return Guest{Demand: demand, Traits: traits, Starter: by, IDs: ids, Allowance: allowance, KnownSizes: nil}
}

// Starter is who starts a guest: a QEMU driver of libvirt's.
type Starter struct {
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
	// Libvirt and QEMU are the versions, as 9001000 is 9.1.0.
	Libvirt, QEMU uint32
}

// UnknownVersion is the version of what was not asked for it.
const UnknownVersion = 0

// SystemStarter is libvirt's system driver.
func SystemStarter(libvirt, qemu uint32) Starter {
	return Starter{BaseDir: "libvirt/qemu", Session: false, UID: 0, Conf: "", Libvirt: libvirt, QEMU: qemu}
}

// NoStarter is for memory that no libvirt asks for.
func NoStarter() Starter {
	return Starter{BaseDir: "", Session: false, UID: 0, Conf: "", Libvirt: UnknownVersion, QEMU: UnknownVersion}
}

// IDs are the numbers that libvirt gives to starts of guests.
type IDs struct {
	// ID is that of this start; UnknownID everywhere but in the hook.
	ID int
	// RunningIDs are those of the domains that run now. nil: not known; then no
	// folder counts as left behind because of its id.
	RunningIDs []int
}

// UnknownID is the ID of a start that libvirt has not begun.
const UnknownID = 0

// UnknownIDs are those of a guest whose libvirt was not asked.
func UnknownIDs() IDs { return IDs{ID: UnknownID, RunningIDs: nil} }

// Allowance is what the host may give a guest. Host.Allowance reads it.
type Allowance struct {
	// HeadroomKiB is how much the pools may still grow.
	HeadroomKiB int64
	// Reserve is the ordinary memory in bytes that the host keeps, which is
	// already taken off HeadroomKiB.
	Reserve int64
	// Pending is what other guests that are starting will yet take.
	Pending []pool.Pending
	// kept is what min_size= of the guest's mounts keeps for it of what is
	// reserved.
	kept map[pages.Size]int64
}

// Unasked is the Allowance of a host that has not been asked: the pools are as they
// are, and must not grow. Hold asks by itself.
func Unasked() Allowance { return Allowance{HeadroomKiB: 0, Reserve: 0, Pending: nil, kept: nil} }

// Check is one question about the host. Detect never writes. A bad host is a
// finding; an error means that the check could not tell.
type Check struct {
	Name   string
	Detect func(Host, Guest) ([]Finding, error)
}
