package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"

	"vmhuge/hostprep"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/supervise"
)

// supervise runs QEMU, and exits as it did.
func (p *program) supervise(ctx context.Context, e *execution) error {
	q := supervise.QEMU{Command: e.Command, Path: e.path, Stdin: p.stdin, Stdout: p.stdout, Stderr: p.stderr, Host: p.host(), Guest: e.guest,
		Proved: func(proof supervise.Proof) { p.showProof(e, proof) }}
	if os.Geteuid() == 0 {
		q.Lease = p.lease(hostprep.NewClaim(e.Demand, e.UUID, e.Name))
	} else if short := check.Shortage(p.host(), e.guest); short != nil {
		return p.rootMust(e, short)
	}
	ended, err := supervise.Run(ctx, q)
	code := ended.Code
	if notRun := (*supervise.NotRun)(nil); errors.As(err, &notRun) {
		code, err = p.cannotRun(e.Args[0], notRun.Err), nil
	}
	p.showGivenBack(e, ended)
	if err != nil {
		return err
	}
	return answered(code)
}

// rootMust says what root must do for a user who lacks pages.
func (p *program) rootMust(e *execution, short *hostprep.Finding) error {
	do := short.Do
	if short.Fixable {
		do = "run vmhuge as root"
		for _, change := range short.Changes {
			do += ", or let root run: " + change.String()
		}
	}
	return &advice.Error{What: "starting " + oneLine(e.Name), Why: short.Have + ", and it takes " + short.Need, Do: do, Kind: advice.NoMemory}
}

// showProof tells how QEMU's memory lies.
func (p *program) showProof(e *execution, got supervise.Proof) {
	if got.Unrecorded != nil {
		p.complain(got.Unrecorded)
	}
	if p.json {
		fields := map[string]any{"name": e.Name, "uuid": e.UUID, "pid": got.PID, "command": e.Args,
			"totals": e.Demand.Totals(), "changed": got.Changed}
		if got.Memory.Verdict != "" {
			fields["proof"] = got.Memory
		}
		if got.Stalled {
			fields["stalled"] = true
		}
		p.writeJSON(p.stderr, fields)
		return
	}
	if got.Early {
		return // QEMU has said why
	}
	if got.Err != nil {
		p.complain(got.Err)
		return
	}
	if p.quiet && got.Memory.Verdict == proof.AllHuge {
		return
	}
	for _, change := range got.Changed {
		p.warn("done: %s", change)
	}
	if got.Stalled {
		p.warn("%s: QEMU (process %d, UUID %s) has %s of the %s of huge pages that it takes at the start, and has had no more for %s; it may get them yet: grep HugetlbPages /proc/%[2]d/status",
			oneLine(e.Name), got.PID, e.UUID, pages.FormatKiB(got.Memory.Hugetlb()), pages.FormatKiB(e.FilledKiB), supervise.Stalled)
	} else {
		p.warn("%s: %s (process %d, UUID %s)", oneLine(e.Name), proofWords(got.Memory), got.PID, e.UUID)
	}
	for _, note := range e.Notes {
		p.warn("%s: %s", oneLine(e.Name), oneLine(note))
	}
}

// showGivenBack tells what became of the pages of QEMU, which has ended.
func (p *program) showGivenBack(e *execution, ended supervise.Ended) {
	if ended.GiveBackErr != nil {
		p.complain(ended.GiveBackErr)
	}
	if p.quiet {
		return
	}
	if ended.Given > 0 {
		p.warn("%s: freed its %s of huge pages", oneLine(e.Name), pages.FormatBytes(ended.Given))
	}
	if ended.Owed > 0 {
		p.warn("%s: %s of huge pages are still in use by other processes; the next vmhuge command frees them", oneLine(e.Name), pages.FormatBytes(ended.Owed))
	}
}

// cannotRun tells why a program can't be run, and returns the exit code that a shell has.
func (p *program) cannotRun(program string, err error) int {
	code, do := 126, "name an executable program"
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		code, do = 127, "install QEMU, or name its path"
	}
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err) // without the name, and what was done to it
	}
	told := advice.Wrap(err, "running "+oneLine(program), do)
	if p.json {
		p.printJSON(map[string]any{"error": errorOf(told)})
	} else {
		p.complain(told)
	}
	return code
}
