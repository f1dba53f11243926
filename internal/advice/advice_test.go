package advice

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestWords(t *testing.T) {
	for want, err := range map[string]error{
		"starting web1: no pages; stop a guest": New("starting web1", "no pages", "stop a guest"),
		"starting web1: no pages":               New("starting web1", "no pages", ""),
		"reading x: file does not exist; go":    Wrap(fs.ErrNotExist, "reading x", "go"),
		"web1: memory: too small; raise it":     About(New("memory", "too small", "raise it"), "%s", "web1"),
		"web1: file does not exist":             About(fs.ErrNotExist, "web%d", 1),
		"web1: a: b; c\nd":                      About(errors.Join(New("a", "b", "c"), errors.New("d")), "web1"),
		"web1: d\na: b; c":                      About(errors.Join(errors.New("d"), New("a", "b", "c")), "web1"),
		"web1: after 2 s: a: b; c":              About(fmt.Errorf("after 2 s: %w", New("a", "b", "c")), "web1"),
	} {
		if err.Error() != want {
			t.Errorf("%s\nnot\n%s", err, want)
		}
	}
	if err := About(nil, "web1"); err != nil {
		t.Error(err)
	}
}

// However an error is wrapped, its cause and its kind are to be found.
func TestChain(t *testing.T) {
	cause := fmt.Errorf("pool: %w", fs.ErrPermission)
	short := &Error{What: "a", Why: "b", Do: "c", Kind: NoMemory, Err: cause}
	for _, err := range []error{About(short, "web1"), About(fmt.Errorf("x: %w", short), "web1"), About(errors.Join(errors.New("y"), short), "web1")} {
		var told *Error
		if !errors.As(err, &told) || told.Kind != NoMemory || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%#v", err)
		}
	}
	var told *Error
	if errors.As(About(short, "web1"), &told); told.Do != "c" || told.Why != "b" {
		t.Errorf("the advice got lost: %#v", told)
	}
	if errors.As(About(fs.ErrExist, "web1"), &told); told.Kind != Failed {
		t.Errorf("%#v", told)
	}
}
