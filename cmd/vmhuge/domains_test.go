package main

import (
	"bytes"
	"testing"

	"vmhuge/launcher"
)

// What a launcher notices while a command works is told once it is done.
func TestNoticesOfTheWork(t *testing.T) {
	var errs bytes.Buffer
	p := &program{stderr: &errs, uri: "test:///default"}
	err := p.connected(func(l *launcher.Launcher) error {
		l.Notices = append(l.Notices, "web1 is gone")
		return nil
	})
	if err != nil || errs.String() != "vmhuge: web1 is gone\n" {
		t.Errorf("%v: %q", err, errs.String())
	}
}
