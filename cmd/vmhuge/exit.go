package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/internal/advice"
	"vmhuge/launcher"
)

// The exit codes, as the README documents them.
const (
	exitDone     = 0 // done, or ready
	exitFailed   = 1
	exitUsage    = 2 // wrong usage
	exitNotReady = 3 // not ready, and something other than memory blocks
	exitNoMemory = 4 // not ready or not started, and only missing memory or pages block
)

// usage is the error of a command line that can't be meant; exit adds where to
// read more.
func usage(format string, args ...any) error {
	return &advice.Error{What: "command line", Why: fmt.Sprintf(format, args...), Kind: advice.Usage}
}

// exit prints an error that was not printed yet, and returns the exit code.
func (p *program) exit(err error) int {
	var done errAnswered
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &done):
		return done.code
	}
	var told *advice.Error
	if errors.As(err, &told) && told.Kind == advice.Usage && told.Do == "" {
		help := *told
		help.Do = "see " + strings.Join(append([]string{"vmhuge"}, p.path...), " ") + " --help"
		err = &help
	}
	if p.json {
		p.printJSON(failed(err))
	} else {
		p.complain(err)
	}
	return codeOf(err)
}

// halfway is the error of a command that may have changed something by then. With --json the
// fields of its answer stand beside the error.
type halfway struct {
	error
	answer any
}

func (e halfway) Unwrap() error { return e.error }

// failed is the answer of a command that failed.
func failed(err error) map[string]any {
	fields := map[string]any{}
	if half := (halfway{}); errors.As(err, &half) {
		if text, bad := object(half.answer); bad == nil {
			_ = json.Unmarshal(text, &fields) // it is an object
		}
	}
	fields["error"] = errorOf(err)
	return fields
}

func codeOf(err error) int {
	var told *advice.Error
	switch {
	case err == nil:
		return exitDone
	case !errors.As(err, &told):
		return exitFailed
	case told.Kind == advice.Usage:
		return exitUsage
	case told.Kind == advice.NoMemory:
		return exitNoMemory
	case told.Kind == advice.Blocked:
		return exitNotReady
	}
	return exitFailed
}

// codeOfReport is the exit code of a domain that check or start looked at.
func codeOfReport(r launcher.Report) int {
	switch {
	case r.Ready:
		return exitDone
	case r.Verdict == hostprep.NoMemory:
		return exitNoMemory
	}
	return exitNotReady
}

// codeOfHost is the exit code of a host that check looked at alone.
func codeOfHost(v hostprep.Verdict) int {
	switch v {
	case hostprep.Ready, hostprep.Unknown:
		return exitDone
	case hostprep.NoMemory:
		return exitNoMemory
	}
	return exitNotReady
}

// needRoot refuses who may not write, before half of it is done.
func needRoot(what string, dryRun bool) error {
	if dryRun || os.Geteuid() == 0 {
		return nil
	}
	return advice.New(what, "permission denied", "run vmhuge as root")
}

// errAnswered says that the answer was printed and only the exit code is left.
type errAnswered struct{ code int }

func (e errAnswered) Error() string { return "see above" }

// answered returns the error that makes the program exit with a code.
func answered(code int) error {
	if code == exitDone {
		return nil
	}
	return errAnswered{code}
}

// codeOfFinding is the exit code of what the host still lacks.
func codeOfFinding(f hostprep.Finding, dryRun bool) int {
	switch {
	case f.Severity != hostprep.Blocker || (dryRun && f.Fixable):
		return exitDone
	case f.Verdict == hostprep.NoMemory:
		return exitNoMemory
	}
	return exitNotReady
}
