// Package advice is the one shape of an error that a user reads:
// what failed, why, and what to do about it.
package advice

import (
	"errors"
	"fmt"
)

// Kind is what an error means for the exit code.
type Kind int

// The kinds of errors.
const (
	Failed   Kind = iota
	Usage         // the command line can't be meant
	NoMemory      // only missing memory or pages are in the way
	Blocked       // something else is in the way, and nothing was done
)

// Cause names a row of the table in package explain.
type Cause string

// Error says what failed, why, and what to do. What names the object
// ("starting web1"); Why and Do are sentences without capital or full stop.
// Do may be empty where no cure is known.
type Error struct {
	What string
	Why  string
	Do   string
	Kind Kind
	// Cause is the row of vmhuge explain that this is, if there is one.
	Cause Cause
	Err   error // the cause, for errors.Is and errors.As; not printed
}

// New returns an Error without a cause.
func New(what, why, do string) *Error {
	return &Error{What: what, Why: why, Do: do}
}

// Wrap returns an Error whose reason is the text of err.
func Wrap(err error, what, do string) *Error {
	return &Error{What: what, Why: err.Error(), Do: do, Err: err}
}

func (e *Error) Error() string {
	s := e.What + ": " + e.Why
	if e.Do != "" {
		s += "; " + e.Do
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// About puts the object in hand before an error of the layer below:
// "web1: memory …". Advice that the error carries is kept.
func About(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	object := fmt.Sprintf(format, args...)
	// Of an error with more to it than its advice, such as several that were
	// joined, nothing may be lost.
	var e *Error
	switch {
	case errors.As(err, &e) && e.Error() != err.Error():
		return &Error{What: object, Why: err.Error(), Kind: e.Kind, Err: err}
	case e != nil:
		return &Error{What: object + ": " + e.What, Why: e.Why, Do: e.Do, Kind: e.Kind, Err: err}
	}
	return &Error{What: object, Why: err.Error(), Err: err}
}
