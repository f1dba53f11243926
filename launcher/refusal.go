package launcher

import (
	"errors"
	"strings"

	"libvirt.org/go/libvirt"

	"vmhuge/explain"
	"vmhuge/internal/advice"
)

const runAsRoot = "run as root, or join the group libvirt"

// refused turns an error of libvirt into one that a user can act on, by the
// same table as vmhuge explain.
func refused(err error, what string) error { return refusedStart(err, what, "") }

// refusedStart is refused for the start of a domain, which the cure names.
func refusedStart(err error, what, domain string) error {
	var e libvirt.Error
	if !errors.As(err, &e) {
		return advice.Wrap(err, what, "")
	}
	r := &advice.Error{What: what, Why: strings.TrimSpace(e.Message), Err: err}
	matches := explain.Error(int(e.Code), e.Message)
	if len(matches) == 0 {
		return r
	}
	r.Kind, r.Do = matches[0].Kind, matches[0].Cure(domain)
	if matches[0].ID == "no-domain" {
		r.Why = matches[0].Cause // libvirt says it with the name a second time
	}
	return r
}
