package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"vmhuge/docs/schema"
	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/ledger"
	"vmhuge/launcher"
)

// streamed runs status --watch --json on the host of a script, and returns its folder, its
// lines, and what ends it and returns how it ended.
func streamed(t *testing.T) (root string, lines <-chan statusAnswer, end func() error) {
	t.Helper()
	dir := t.TempDir()
	script, err := txtar.ParseFile(filepath.Join("testdata", "script", "status_host.txtar"))
	hosttest.Must(t, err)
	hosttest.Must(t, txtar.Write(script, dir))
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	answers, ended := make(chan statusAnswer, 16), make(chan error, 1)
	root = filepath.Join(dir, "host")
	go func() {
		p := &program{stdout: in, stderr: io.Discard, root: root, uri: "qemu+unix:///system?socket=/nonexistent", json: true}
		ended <- p.streamStatus(ctx, nil)
		in.Close()
	}()
	go func() {
		text := bufio.NewReader(out)
		for {
			line, err := text.ReadString('\n')
			if err != nil {
				return
			}
			var answer statusAnswer
			if err := json.Unmarshal([]byte(line), &answer); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			if err := schema.Check("status", 0, []byte(line)); err != nil {
				t.Error(err)
			}
			answers <- answer
		}
	}()
	return root, answers, func() error { cancel(); return <-ended }
}

// A line comes first, then one for each change, which names the fields that changed; what
// never stays the same brings none. An interrupt is no failure.
func TestStreamOnChange(t *testing.T) {
	t.Parallel() // it waits for lines
	root, lines, end := streamed(t)
	next := func(what string, changed ...string) (answer statusAnswer) {
		t.Helper()
		select {
		case answer = <-lines:
			if !slices.Equal(answer.Changed, changed) {
				t.Errorf("%s: %v changed, not %v", what, answer.Changed, changed)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: no line comes", what)
		}
		return answer
	}
	if first := next("first"); len(first.Pools) == 0 || first.DomainsError == nil || !strings.HasPrefix(first.DomainsError.What, "connecting to qemu+unix:") {
		t.Errorf("%+v", first)
	}
	free := filepath.Join(root, "sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages")
	select {
	case answer := <-lines:
		t.Errorf("a line for nothing: %v", answer.Changed)
	case <-time.After(3 * time.Second):
	}
	hosttest.WriteFile(t, free, "7\n")
	if second := next("pools", "pools"); !slices.ContainsFunc(second.Pools, hasFree(7)) {
		t.Errorf("%+v", second.Pools)
	}
	// The folders of /run/vmhuge may be made while it watches.
	claims := filepath.Join(root, "run/vmhuge/claims")
	hosttest.Must(t, os.MkdirAll(claims, 0o755))
	claim, err := os.ReadFile(filepath.Join(root, "../claim"))
	hosttest.Must(t, err)
	hosttest.Must(t, os.WriteFile(filepath.Join(claims, "6695eb01-f6a4-8304-79aa-97f2502e193f.starting"), claim, 0o644))
	next("ledger", "pools")
	// Its guest is gone, for which libvirt may call the hook yet: that is shown, and left alone.
	hosttest.Must(t, os.RemoveAll(filepath.Join(root, "proc/600")))
	hosttest.WriteFile(t, free, "8\n")
	if gone := next("a guest that is gone", "left_behind", "pools"); len(gone.Settled) > 0 || len(gone.LeftBehind) != 1 || gone.LeftBehind[0].Bytes != 100<<20 {
		t.Errorf("settled %+v, left behind %+v", gone.Settled, gone.LeftBehind)
	}
	if _, err := os.Stat(filepath.Join(claims, "6695eb01-f6a4-8304-79aa-97f2502e193f.starting")); err != nil {
		t.Error(err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// Memory that the kernel could make pages of never stays the same, and what was told of
// guests that are gone is no news when it is no longer told.
func TestStreamIgnores(t *testing.T) {
	status := func(could, area int64, settled ...ledger.Settlement) statusAnswer {
		return statusAnswer{Status: launcher.Status{Pools: []launcher.PoolStatus{{CouldMake: &hostprep.CouldMake{Now: could}}}, CMA: &host.CMA{TotalKiB: 9, FreeKiB: area}, Settled: settled}}
	}
	var shown shownStatus
	for i, row := range []struct {
		answer statusAnswer
		want   []string
	}{
		{status(1, 1), []string{}}, {status(2, 1), nil}, {status(2, 3), nil},
		{status(2, 3, ledger.Settlement{Name: "web1"}), []string{"settled"}}, {status(2, 3), nil},
		{statusAnswer{DomainsError: &jsonError{Why: "gone"}}, []string{"cma", "domains_error", "pools"}},
	} {
		if got := shown.update(row.answer); !slices.Equal(got, row.want) || (got == nil) != (row.want == nil) {
			t.Errorf("%d: %#v, not %#v", i, got, row.want)
		}
		if c := row.answer.Pools; len(c) > 0 && c[0].Now == 0 {
			t.Errorf("%d: it is printed without what could be made", i)
		}
	}
}

// What can be told of a stream's reader without writing to it.
func TestNoReader(t *testing.T) {
	read, write, err := os.Pipe()
	hosttest.Must(t, err)
	defer write.Close()
	if noReader(write) || noReader(io.Discard) {
		t.Error("it has one")
	}
	read.Close()
	if !noReader(write) {
		t.Error("it has none")
	}
}

func hasFree(n int64) func(launcher.PoolStatus) bool {
	return func(p launcher.PoolStatus) bool { return p.Free == n }
}
