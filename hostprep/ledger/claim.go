package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/hostfs"
)

// Phase is where a claim stands.
type Phase string

// The phases of a claim.
const (
	Starting Phase = "starting" // the guest has not taken all of its pages yet, at its start or as it grows
	InUse    Phase = "in-use"   // the guest runs, and the kernel counts its pages
	Prepared Phase = "prepared" // no guest's: the pages stay until they are taken back
	Reserved Phase = "reserved" // for a program that is no guest: guests are to leave it so many pages
	Kept     Phase = "kept"     // the guest has ended, and its pages stay for its next start
	Owed     Phase = "owed"     // the guest is gone, but another program still uses or waits for the pages
)

// Claim is what one guest holds, or what is kept for a program.
type Claim struct {
	UUID  string `json:"uuid"`
	Name  string `json:"name"`
	Phase Phase  `json:"-"` // it is in the file's name
	PID   int    `json:"-"` // of its QEMU, 0 for none yet
	// Owner is the process that starts the guest: once it has ended and the guest does
	// not run, the start has failed.
	Owner process.Process `json:"owner"`
	// Until is the uptime in seconds by which a guest that was only announced, or whose pages
	// are kept, must have started, whatever is done to the clock meanwhile; 0: no such end.
	Until int64 `json:"until_uptime,omitempty"`
	// Takes is what the guest takes when it starts, whoever added the pages.
	Takes []pool.Take `json:"takes"`
	// Has is what it had before it grew: only what is above that counts as taken.
	Has []pool.Take `json:"has,omitempty"`
	// Elastic says that pages may leave the guest while it runs, so that they
	// must stay in the pool for it.
	Elastic bool `json:"elastic,omitempty"`
	// Grown is by how much it has grown since its start where pages were reserved for that.
	Grown []pool.Take `json:"grown,omitempty"`
	// Mapped is what it had mapped when that was last counted, but for virtio-mem's: memory that
	// has left it since is freed.
	Mapped []pool.Take `json:"mapped,omitempty"`
	// Resize is a change of its memory that is under way while it runs.
	Resize *Resize `json:"resize,omitempty"`
	// Grants is what was added to the pools for it, to be freed when it ends.
	Grants []pool.Grant `json:"grants"`
	// Demoted is what was split for prepared pages, and becomes large again when these end.
	Demoted []Demotion `json:"demoted,omitempty"`
	// Keep is what stays for it when it has ended; nil: nothing.
	Keep *Keep `json:"keep,omitempty"`
	// Armed is the part of it that the kernel itself frees when QEMU ends; see arm.
	Armed []pool.Grant `json:"armed,omitempty"`
	// More are fields that a newer vmhuge wrote: they stay. Inside of grants none would.
	More map[string]json.RawMessage `json:"-"`
}

// changing says whether the claim was cut off while a pool was being changed.
func (c Claim) changing() bool {
	return slices.ContainsFunc(c.Grants, func(g pool.Grant) bool { return g.Without != nil }) ||
		slices.ContainsFunc(c.Demoted, func(d Demotion) bool { return d.From != nil })
}

// pools are those that the claim has changed.
func (c Claim) pools() []pool.Grant {
	pools := slices.Clip(c.Grants)
	for _, d := range c.Demoted {
		pools = append(pools, d.pool())
	}
	return pools
}

func (c Claim) guest() process.Guest {
	return process.Guest{UUID: c.UUID, Name: c.Name, PID: c.PID, Owner: c.Owner}
}

// In is the uptime in seconds that the host will have after so long.
func In(d time.Duration) int64 { return uptime() + int64(d/time.Second) }

// uptime is in seconds, and counts those of a suspended host.
func uptime() int64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // every Linux has it
	return int64(now.Sec)
}

// place corrects the phase of a claim that was read from disk: after a crash it may still
// be "starting" though its owner is dead, or "in use" though its guest is gone.
func (c *Claim) place(root hostfs.Root, running *process.Guests) {
	was := c.Phase
	if was == Prepared || was == Reserved {
		return
	}
	if was == Owed {
		c.PID = 0
		return
	}
	pid, held := running.Find(c.guest())
	if held {
		return // it may run: nothing is taken from it
	}
	c.Phase, c.PID = Owed, pid
	expired := c.Until > 0 && uptime() > c.Until
	switch {
	case c.PID == 0 && (c.Resize != nil || c.Mapped != nil): // it ran, and has ended
	case c.Resize != nil:
		c.Phase = Starting
	case c.PID != 0 && (was == InUse || c.hasAll(root) && !running.MovesIn(c.guest())):
		c.Phase = InUse
	case c.PID != 0, was == Starting && c.Owner.Alive(root) && !expired:
		c.Phase = Starting
	case was == Kept && !expired:
		c.Phase = Kept
	}
	if c.Phase == Owed && was != Kept && c.Keep != nil {
		c.stay()
	}
}

// claimVersion is the version of the file's shape.
const claimVersion = 1

type claimText struct {
	Version int    `json:"version"`
	BootID  string `json:"boot_id"`
	Claim
}

// parseClaim reads a claim's file:
//
//	{"version":1,"boot_id":"4f0…","uuid":"6695eb01-…","name":"web1","owner":{"pid":600,"start":5},
//	 "takes":[{"page_size_kib":2048,"pages":90}],"grants":[{"node":0,"page_size_kib":2048,"pages":50}]}
func parseClaim(text []byte) (claimText, error) {
	// Nearly all claims are of this version, and have no field that it does not know.
	c, known := parseKnown(text)
	var err error
	if !known {
		c, err = parseUnknown(text)
	}
	newer := errors.Is(err, errNewer)
	for _, g := range slices.Concat(c.pools(), c.Armed) {
		switch {
		case g.Pages >= 0 && g.Size > 0 && g.Node >= 0:
		case newer: // it means something else
			c.Grants, c.Armed, c.Demoted = nil, nil, nil
		case err == nil:
			err = fmt.Errorf("%d pages of %d bytes on node %d", g.Pages, g.Size, g.Node)
		}
	}
	if err != nil && !newer {
		return claimText{}, err
	}
	return c, err
}

// parseKnown reads a claim's file in one go; false: it is not as this version writes it.
func parseKnown(text []byte) (c claimText, ok bool) {
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	err := in.Decode(&c)
	return c, err == nil && c.Version == claimVersion && len(bytes.TrimSpace(text[in.InputOffset():])) == 0
}

// parseUnknown reads a claim's file that a newer vmhuge has written.
func parseUnknown(text []byte) (c claimText, err error) {
	// Check the version first: another version may have another shape.
	err = json.Unmarshal(text, &struct{ Version *int }{&c.Version})
	switch {
	case err != nil:
	case c.Version > claimVersion:
		_ = json.Unmarshal(text, &c) // as far as it has our shape
		err = errNewer
	case c.Version < claimVersion:
		err = fmt.Errorf("version %d", c.Version)
	default:
		err = json.Unmarshal(text, &c)
	}
	if err == nil {
		c.More = unknownFields(text)
	}
	return c, err
}

// unknownFields are those of a claim's file that are not among ours, nil for none.
func unknownFields(text []byte) map[string]json.RawMessage {
	var all map[string]json.RawMessage
	_ = json.Unmarshal(text, &all) // it was read already
	for _, f := range reflect.VisibleFields(reflect.TypeFor[claimText]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		delete(all, name)
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// text is the claim's file.
func (c Claim) text(boot string) ([]byte, error) {
	text, err := json.Marshal(claimText{claimVersion, boot, c})
	if err != nil || len(c.More) == 0 {
		return text, err
	}
	more, err := json.Marshal(c.More)
	return slices.Concat(text[:len(text)-1], []byte(","), more[1:]), err
}

// fileName is the name of a claim's file. It has all that must be known of
// guests that run, so that a start need not open a thousand files:
//
//	6695eb01-f6a4-8304-79aa-97f2502e193f.starting
//	6695eb01-f6a4-8304-79aa-97f2502e193f.owed
//	6695eb01-f6a4-8304-79aa-97f2502e193f.4242     in use by process 4242
func (c Claim) fileName() string {
	if c.Phase == InUse {
		return c.UUID + "." + strconv.Itoa(c.PID)
	}
	return c.UUID + "." + string(c.Phase)
}

var errNoClaim = errors.New("its name is not that of a claim")

// parseFileName reads what a claim's file name says.
func parseFileName(name string) (Claim, error) {
	uuid, state, _ := strings.Cut(name, ".")
	c := Claim{UUID: uuid, Phase: Phase(state)}
	if pid, err := strconv.Atoi(state); err == nil && pid > 0 {
		c.Phase, c.PID = InUse, pid
	}
	if !process.IsUUID(uuid) || (c.Phase == Prepared) != (uuid == PreparedUUID) && c.Phase != Owed || c.fileName() != name {
		return Claim{}, errNoClaim
	}
	switch {
	case slices.Contains([]Phase{Starting, InUse, Prepared, Reserved, Kept, Owed}, c.Phase):
		return c, nil
	case mayBePhase(c.Phase):
		return c, errNewer
	}
	return Claim{}, errNoClaim
}
