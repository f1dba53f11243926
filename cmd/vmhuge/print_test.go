package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hostpage"
	"vmhuge/hostprep/journal"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/plan"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/advice"
	"vmhuge/launcher"
)

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"web1":                       "web1",
		" two\nlines\n":              "two lines",
		"tab\there":                  "tab here",
		"ümläut … ✓ 网":               "ümläut … ✓ 网",
		"\x1b[31mred\x07\x7f\r":      "?[31mred??",
		"C1: \u009b31m":              "C1: ?31m",
		"turned \u202e round":        "turned ? round",
		"joined 👩\u200d💻":            "joined 👩\u200d💻",
		"zero\u200bwidth":            "zero?width",
		"web\u200d1":                 "web?1",
		"line\u2028para\u2029graph":  "line?para?graph",
		"tags\U000e0041\U000e0042":   "tags??",
		"filler\u3164":               "filler?",
		"accent ^\u200d`\ufe0f":      "accent ^?`?",
		"👩🏽\u200d💻":                  "👩🏽\u200d💻",
		"a\ufe0f\u200db":             "a??b",
		"heart ❤\ufe0f":              "heart ❤\ufe0f",
		"two styles ❤\ufe0f\ufe0f":   "two styles ❤\ufe0f?",
		"pair 👩\u200d❤\ufe0f\u200d👨": "pair 👩\u200d❤\ufe0f\u200d👨",
		"variant ❤\ufe00":            "variant ❤?",
		"not UTF-8: \xff\x9b31m":     "not UTF-8: \ufffd\ufffd31m",
	} {
		if got := oneLine(text); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}

// A name with a character that has no shape does not look like the name without.
func TestUnseen(t *testing.T) {
	for _, block := range [][2]rune{
		{0xad, 0xad}, {0x34f, 0x34f}, {0x61c, 0x61c}, {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f},
		{0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0x2800, 0x2800}, {0x3164, 0x3164}, {0xfe00, 0xfe0f},
		{0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff9, 0xfffb}, {0x16fe4, 0x16fe4}, {0x1d159, 0x1d159}, {0xe0000, 0xe0fff},
	} {
		for r := block[0]; r <= block[1]; r++ {
			if got := oneLine("web1" + string(r) + "."); got != "web1?." {
				t.Errorf("U+%04X is shown: %q", r, got)
			}
		}
	}
}

// What a user has written into a file may be in a change, and in the reason why it is left.
func TestSayAChange(t *testing.T) {
	var out bytes.Buffer
	p := &program{stdout: &out, stderr: &out}
	c := change.Change{Kind: change.KindFile, Path: "/home/a\u009b31m", From: "0600 1:1\n\x1b[31m\n", To: "0600 1:1\nx\n"}
	p.say("done: %s", c)
	p.warn("%s", errors.New("two\n\x1b[2J"))
	_ = p.leftAsItIs([]journal.Left{{Change: c, Reason: "it is \x1b[31m\n"}})
	if strings.ContainsAny(out.String(), "\x1b\u009b") || strings.Count(out.String(), "\n") != 3 {
		t.Errorf("%q", out.String())
	}
}

// JSON is for a terminal, too, and means the same escaped.
func TestJSONEscapes(t *testing.T) {
	const name = "a\u009b31m\u200b\U000e0041\x7f\u2028\ufe0f\u2800ü<"
	var out bytes.Buffer
	(&program{stdout: &out}).printJSON(map[string]any{"name": name})
	if want := `{"name":"a\u009b31m\u200b\udb40\udc41\u007f\u2028\ufe0f\u2800ü<","version":1}` + "\n"; out.String() != want {
		t.Errorf("%s, not %s", out.String(), want)
	}
	var back struct{ Name string }
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back.Name != name {
		t.Errorf("%q, %v", back.Name, err)
	}
}

func TestPrintDiff(t *testing.T) {
	var out bytes.Buffer
	p := &program{stdout: &out}
	p.printDiff("--- a\n+++ b\n \t<title>x\u009b31m\x1b[0m</title>\r\n+<b/>")
	if want := "--- a\n+++ b\n \t<title>x?31m?[0m</title>\n+<b/>\n"; out.String() != want {
		t.Errorf("%q, not %q", out.String(), want)
	}
	out.Reset()
	(&program{stdout: &out, quiet: true}).printDiff("x")
	(&program{stdout: &out, json: true}).printDiff("x")
	if out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
}

// Quiet says what is wrong, and nothing else.
func TestQuiet(t *testing.T) {
	var out bytes.Buffer
	p := &program{stdout: &out, quiet: true}
	p.showReport(launcher.Report{Name: "fine", Ready: true, Fixable: true})
	p.showVerified(verified{Name: "fine", Proof: proof.Proof{Verdict: proof.AllHuge}})
	p.showReport(launcher.Report{Name: "web1", Verdict: hostprep.NoMemory, Findings: []hostprep.Finding{
		{Check: "pool", Severity: hostprep.Blocker, Have: "10 free pages", Need: "20", Do: "stop a guest"},
		{Check: "thp", Severity: hostprep.Note, Have: "never"}}})
	p.showVerified(verified{Name: "web1", Proof: proof.Proof{Verdict: proof.Partly, RAMKiB: 2048, BackedPercent: 50}})
	if want := "web1: not ready (no-memory)\n  pool: 10 free pages; needed: 20; stop a guest\nweb1: 50.0 % of its 2 MiB of RAM on huge pages\n"; out.String() != want {
		t.Errorf("%s\nnot\n%s", out.String(), want)
	}
}

// A list in JSON is never null, and < stays legible.
func TestPrintJSON(t *testing.T) {
	var out bytes.Buffer
	p := &program{stdout: &out}
	type item struct {
		List  []string `json:"list"`
		Inner *struct {
			More []int `json:"more"`
		} `json:"inner"`
	}
	inner := &struct {
		More []int `json:"more"`
	}{}
	p.printJSON(map[string]any{"items": []item{{Inner: inner}}, "none": []item(nil), "text": "<a>&"})
	if want := `{"items":[{"list":[],"inner":{"more":[]}}],"none":[],"text":"<a>&","version":1}` + "\n"; out.String() != want {
		t.Errorf("%s\nnot\n%s", out.String(), want)
	}
}

func TestExit(t *testing.T) {
	memory := &advice.Error{What: "a", Why: "b", Do: "c", Kind: advice.NoMemory}
	for _, test := range []struct {
		err  error
		code int
		json string
	}{
		{errors.New("plain"), exitFailed, `{"error":{"what":"","why":"plain","do":""},"version":1}`},
		{advice.New("a", "b", "c"), exitFailed, `{"error":{"what":"a","why":"b","do":"c"},"version":1}`},
		{memory, exitNoMemory, `{"error":{"what":"a","why":"b","do":"c"},"version":1}`},
		{advice.About(memory, "web1"), exitNoMemory, `{"error":{"what":"web1: a","why":"b","do":"c"},"version":1}`},
		// Nothing of what was joined gets lost.
		{errors.Join(memory, errors.New("x")), exitNoMemory, `{"error":{"what":"a","why":"a: b; c\nx","do":"c"},"version":1}`},
		{usage("x"), exitUsage, `{"error":{"what":"command line","why":"x","do":"see vmhuge stop --help"},"version":1}`},
		{answered(exitNotReady), exitNotReady, ""},
		{answered(exitDone), exitDone, ""},
		{nil, exitDone, ""},
	} {
		var out, errs bytes.Buffer
		p := &program{stdout: &out, stderr: &errs, json: true, path: []string{"stop"}}
		code := p.exit(test.err)
		if test.json != "" {
			test.json += "\n"
		}
		if code != test.code || out.String() != test.json || errs.Len() > 0 {
			t.Errorf("%v: %d, %q, %q", test.err, code, out.String(), errs.String())
		}
	}
}

func TestCodeOfReport(t *testing.T) {
	for verdict, want := range map[hostprep.Verdict]int{
		hostprep.Ready: exitDone, hostprep.Running: exitDone, hostprep.NoMemory: exitNoMemory,
		hostprep.NoAccess: exitNotReady, hostprep.NoMount: exitNotReady, hostprep.BadDomain: exitNotReady,
		hostprep.BadHost: exitNotReady, hostprep.Unknown: exitNotReady,
	} {
		r := launcher.Report{Verdict: verdict, Ready: verdict == hostprep.Ready || verdict == hostprep.Running}
		if got := codeOfReport(r); got != want {
			t.Errorf("%s: %d, not %d", verdict, got, want)
		}
	}
}

func TestNotATerminal(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if terminal(f) || terminal(&bytes.Buffer{}) {
		t.Error("a terminal")
	}
}

// What launcher and hostprep answer is printed as it is: a field that they get
// shows without a line here.
func TestAnswersAreWhole(t *testing.T) {
	for name, row := range map[string]struct {
		value any
		print func(p *program)
	}{
		"status": {launcher.Status{}, func(p *program) {
			p.printJSON(hostStatus{Status: launcher.Status{SetAside: []string{"x"}, LeftBehind: []launcher.LeftBehind{{}}, Notes: []hostpage.Fact{{}}, CMA: &host.CMA{}, Reservations: []ledger.Reservation{{}}}}.answer())
		}},
		"plan": {plan.Plan{}, func(p *program) { p.showPlan(plan.Plan{Reservations: []ledger.Reservation{{}}}) }},
	} {
		var out strings.Builder
		row.print(&program{stdout: &out, json: true})
		for _, field := range reflect.VisibleFields(reflect.TypeOf(row.value)) {
			tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if tag != "-" && !strings.Contains(out.String(), `"`+tag+`":`) {
				t.Errorf("%s --json lacks %s: %s", name, tag, out.String())
			}
		}
	}
}
