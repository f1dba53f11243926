package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"vmhuge/hostprep/pool"
)

// errUnusable is the error of a file that can't be used, errOtherBoot that of
// one from before a reboot.
var (
	errUnusable  = errors.New("it can't be used")
	errOtherBoot = errors.New("it is from before a reboot")
)

// list finds the claims' files.
func (l *Ledger) list() error {
	entries, err := os.ReadDir(l.root.Path(claimsDir...))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	l.claims = make([]Claim, 0, len(entries))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") { // being written, or left so by a crash
			if l.lock != nil {
				_ = os.Remove(l.path(e.Name()))
			}
			continue
		}
		c, err := parseFileName(e.Name())
		if err == nil && !e.Type().IsRegular() { // a fifo would be waited for
			err = errors.New("it is not a file")
		}
		if errors.Is(err, errNewer) {
			if c, err = l.read(c); err == nil || errors.Is(err, errNewer) {
				l.leaveAlone(c)
				continue
			}
		}
		// They are sorted by name.
		if last := len(l.claims) - 1; err == nil && last >= 0 && l.claims[last].UUID == c.UUID {
			err = fmt.Errorf("there is %s too", l.claims[last].fileName())
		}
		if err == nil {
			l.claims = append(l.claims, c)
		} else if l.lock != nil {
			if err := l.moveAside(e.Name(), err); err != nil {
				return err
			}
		}
	}
	return err
}

// read reads the file of a claim that is known by its name.
func (l *Ledger) read(c Claim) (Claim, error) {
	text, err := l.root.Read(append(slices.Clip(claimsDir), c.fileName())...)
	if err != nil {
		return c, err
	}
	parsed, err := parseClaim([]byte(text))
	if errors.Is(err, errNewer) {
		parsed.UUID, parsed.Phase, parsed.PID = c.UUID, c.Phase, c.PID
		return parsed.Claim, err
	}
	if err == nil && parsed.UUID != c.UUID {
		err = fmt.Errorf("it names the guest %.40q", parsed.UUID)
	}
	if err != nil {
		return c, fmt.Errorf("%w: %w", errUnusable, err)
	}
	if parsed.BootID != l.boot {
		return c, errOtherBoot
	}
	parsed.Phase, parsed.PID = c.Phase, c.PID
	return parsed.Claim, nil
}

// save writes a claim that the ledger has, under its present name.
func (l *Ledger) save(i int, c Claim) error {
	c.Phase, c.PID = l.claims[i].Phase, l.claims[i].PID
	if err := l.write(c); err != nil {
		return err
	}
	l.claims[i] = c
	return nil
}

func (l *Ledger) write(c Claim) error {
	if err := l.heldByNewer(c.UUID); err != nil {
		return err
	}
	if err := l.expect(c.pools()); err != nil {
		return err
	}
	text, err := c.text(l.boot)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(l.root.Path(claimsDir...), 0o755); err != nil {
		return err
	}
	were := l.grantsOf(c)
	if err := l.root.Replace(text, 0o644, append(slices.Clip(claimsDir), c.fileName())...); err != nil {
		return err
	}
	l.account(were, c)
	return nil
}

// grantsOf are the grants of a claim as they are on record.
func (l *Ledger) grantsOf(c Claim) []pool.Grant {
	c, err := l.read(Claim{UUID: c.UUID, Phase: c.Phase, PID: c.PID})
	if err != nil {
		return nil
	}
	return c.Grants
}

// rename gives a claim's file the name that its phase asks for.
func (l *Ledger) rename(i int, c Claim) error {
	if from, to := l.claims[i].fileName(), c.fileName(); from != to {
		if err := os.Rename(l.path(from), l.path(to)); err != nil {
			return err
		}
	}
	l.claims[i] = c
	return nil
}

func (l *Ledger) remove(i int) error {
	grants := l.grantsOf(l.claims[i])
	err := os.Remove(l.path(l.claims[i].fileName()))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		for _, g := range grants {
			l.leave(g.Node, g.Size, g.Pages)
		}
		l.account(grants, Claim{UUID: l.claims[i].UUID})
		l.claims = slices.Delete(l.claims, i, i+1)
		return nil
	}
	return err
}

// setAside takes a file that can't be used out of the ledger. The kernel still counts what
// the guest uses, but what was added for it is no longer known.
func (l *Ledger) setAside(i int, why error) error {
	name := l.claims[i].fileName()
	l.counts.note(Claim{UUID: l.claims[i].UUID})
	l.claims = slices.Delete(l.claims, i, i+1)
	l.disown()
	return l.moveAside(name, why)
}

func (l *Ledger) moveAside(name string, why error) error {
	aside, err := l.asideAs(l.path(name))
	if err != nil {
		return err
	}
	l.SetAside = append(l.SetAside, fmt.Sprintf(
		"a claim of the ledger is set aside as %s (%v): pages that were added for that guest stay in the pools", aside, why))
	return nil
}

// asideAs puts a file aside, and returns where it is now.
func (l *Ledger) asideAs(path string) (aside string, err error) {
	if err := os.MkdirAll(l.root.Path(asideDir...), 0o755); err != nil {
		return "", err
	}
	aside = l.root.Path(append(slices.Clip(asideDir), filepath.Base(path))...)
	if st, err := os.Lstat(aside); err == nil && !st.Mode().IsRegular() {
		aside += "." + strconv.FormatInt(time.Now().UnixNano(), 10) // nothing replaces a folder
	}
	return aside, os.Rename(path, aside)
}

// needFiles puts aside what has the name of a file of the ledger's and is none.
func (l *Ledger) needFiles() error {
	for _, path := range []string{l.root.Path(countsFile...), l.root.Path(pool.BorrowedFile...)} {
		st, err := os.Lstat(path)
		if err != nil || st.Mode().IsRegular() {
			continue
		}
		aside, err := l.asideAs(path)
		if err != nil {
			return err
		}
		l.SetAside = append(l.SetAside, path+" is not a file of the ledger's, and is set aside as "+aside)
	}
	return nil
}

func (l *Ledger) path(name string) string {
	return l.root.Path(append(slices.Clip(claimsDir), name)...)
}
