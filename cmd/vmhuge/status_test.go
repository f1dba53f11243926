package main

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"vmhuge/hostprep"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
	"vmhuge/picture"
)

// blocks ends what writes to it after some blocks.
type blocks struct {
	strings.Builder
	left int
	end  func()
}

func (b *blocks) Write(text []byte) (int, error) {
	b.left--
	if b.left == 0 {
		b.end()
	}
	return b.Builder.Write(text)
}

// On a pipe the status comes block after block, and an interrupt is no failure.
func TestWatchOnAPipe(t *testing.T) {
	t.Setenv("LC_ALL", "C")
	dir := t.TempDir()
	script, err := txtar.ParseFile(filepath.Join("testdata", "script", "status_host.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	if err := txtar.Write(script, dir); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out := &blocks{left: 2, end: cancel}
	p := &program{stdout: out, stderr: &strings.Builder{}, root: filepath.Join(dir, "host"), uri: "qemu+unix:///system?socket=/nonexistent"}
	if err := p.watch(ctx, nil); err != nil {
		t.Fatal(err)
	}
	block := `-- \d{4}-\d\d-\d\d \d\d:\d\d:\d\d -{57}\nNODE  PAGES .*\n(.*\n)+! connecting to qemu\+unix:.*\n\n`
	if text := out.String(); !regexp.MustCompile("^"+block+block+"$").MatchString(text) || strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
}

// What is shown of guests, and what is called wrong.
func TestHostStatus(t *testing.T) {
	huge := func(percent float64, verdict proof.Verdict) *proof.Proof {
		return &proof.Proof{RAMKiB: 1 << 20, BackedPercent: percent, Verdict: verdict, ByNode: map[string]int64{"0": 1, "1": 1}}
	}
	two := []pages.Total{{PageSize: pages.Size2MiB, Pages: 512}}
	s := hostStatus{Status: launcher.Status{
		Pools: []launcher.PoolStatus{
			{Pool: pool.Pool{Node: 0, Size: pages.Size2MiB, Total: 600, Free: 100}, HeldByUs: 500},
			{Pool: pool.Pool{Node: 1, Size: pages.Size2MiB, Total: 300, Free: 300}},
			{Pool: pool.Pool{Node: -1, Size: pages.Size2MiB, Total: 900, Free: 400}, Reserved: 40, HeldByUs: 500},
		},
		Domains: []launcher.DomainStatus{
			{Name: "web1", State: launcher.Running, RAMKiB: 1 << 20, Backing: pages.Hugetlb, Totals: two, Proof: huge(100, proof.AllHuge), GivenBackBy: "hook"},
			{Name: "db1", State: launcher.Paused, RAMKiB: 3 << 19, Backing: pages.THP, Proof: huge(62.5, proof.Partly)},
			{Name: "esc\x1b[31m", State: launcher.Running, RAMKiB: 1 << 20, Backing: pages.Hugetlb, Totals: two, ProofUnknown: "run vmhuge as root"},
			{Name: "old1", State: launcher.ShutOff, RAMKiB: 65 << 10, Backing: pages.None},
		},
		Hook:     hook.Status{Findings: []hostprep.Finding{{Check: "hook", Have: "it is old", Do: "run vmhuge hook install"}}},
		CMA:      &host.CMA{TotalKiB: 3 << 20, FreeKiB: 3 << 18},
		SetAside: []string{"a claim is set aside"},
	}}
	want := `NODE  PAGES                               TOTAL  USED  RESERVED  FREE  BY VMHUGE
0     2 MiB  +++++++++++++++---             600   500         ?   100        500
1     2 MiB  ---------                      300     0         ?   300          0
all   2 MiB  +++++++++++++++%-----------    900   500        40   360        500
# used  + added by vmhuge  % reserved  - free

GUEST     STATE         RAM  BACKING      HUGE PAGES          NODES  FREED BY
web1      running     1 GiB  2 MiB        ##########   100 %  0-1    hook
db1       paused    1.5 GiB  transparent  ######----  62.5 %  0-1
esc?[31m  running     1 GiB  2 MiB                         ?
old1      shut off   65 MiB  small pages

area   3 GiB of CMA, of which 768 MiB is free (pages of 1 GiB on demand)
hook   not installed (vmhuge hook install)`
	got := strings.Join(s.lines(picture.Style{Width: 80}), "\n")
	if got != want {
		t.Errorf("\n%s\nnot\n%s", got, want)
	}
	wrong := "db1: 62.5 % of its 1 GiB of RAM on huge pages\nesc?[31m: run vmhuge as root\nhook: it is old; run vmhuge hook install\na claim is set aside"
	if got := strings.Join(s.wrong(true), "\n"); got != wrong {
		t.Errorf("%s\nnot\n%s", got, wrong)
	}
	if got := s.wrong(false); !strings.HasSuffix(got[0], "run vmhuge as root") || strings.Contains(strings.Join(got, ""), "esc") {
		t.Errorf("to others than root: %q", got)
	}
}
