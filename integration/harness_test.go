package integration

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"libvirt.org/go/libvirt"
)

// These tests hold the harness itself to what the others take for granted.

func TestGuestBoots(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 48)
	dom := define(t, guest{memory: "<memory unit='MiB'>96</memory>", backing: pages2M, boots: true})
	taken := takenPages(t, func() { start(t, dom) })
	if diff := cmp.Diff(pageCount{size2M: 48}, taken); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	if line := greeting(t, dom); !strings.HasPrefix(line, "guest is up, MemTotal: ") {
		t.Errorf("the guest said %q", line)
	}
	if err := dom.Shutdown(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the guest powers off when asked", func() bool {
		state, _, err := dom.GetState()
		return err == nil && state == libvirt.DOMAIN_SHUTOFF
	})
}

func TestPausedStartTakesAllPages(t *testing.T) { pausedStartTakesAllPages(t, possible) }

// pausedStartTakesAllPages runs the rows that take such pages.
func pausedStartTakesAllPages(t *testing.T, such func(pageCount) bool) {
	const gib = "<memory unit='GiB'>1</memory>"
	const twoCells = "<cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/><cell id='1' memory='32' unit='MiB'/></numa></cpu>"
	for name, row := range map[string]struct {
		guest guest
		want  pageCount
	}{
		"none":   {guest{}, pageCount{}},
		"2M":     {guest{backing: pages2M}, pageCount{size2M: 32}},
		"memfd":  {guest{backing: pages2M + "<source type='memfd'/>"}, pageCount{size2M: 32}},
		"1G":     {guest{memory: gib, backing: pages1G}, pageCount{size1G: 1}},
		"2cells": {guest{backing: pages2M, more: twoCells}, pageCount{size2M: 32}},
	} {
		if !such(row.want) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			hostAsBefore(t)
			for kib, n := range row.want {
				setPages(t, 0, kib, n)
			}
			dom := define(t, row.guest)
			taken := takenPages(t, func() { startPaused(t, dom) })
			if diff := cmp.Diff(row.want, taken); diff != "" {
				t.Errorf("pages gone from the pools (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(row.want, pagesOf(t, pidOf(t, dom))); diff != "" {
				t.Errorf("pages in QEMU's page tables (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnePageShort(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 31)
	dom := define(t, guest{backing: pages2M})
	startFails(t, dom, "unable to map backing store for guest RAM: Cannot allocate memory")
}

func TestGuestOutlivesLibvirtd(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 32)
	dom := define(t, guest{backing: pages2M})
	startPaused(t, dom)
	name, pid := nameOf(t, dom), pidOf(t, dom)
	restartLibvirtd(t)
	dom = lookup(t, name)
	defer dom.Free()
	if active, err := dom.IsActive(); err != nil || !active {
		t.Errorf("after the restart: active %v, %v", active, err)
	}
	if got := pagesOf(t, pid); got[size2M] != 32 {
		t.Errorf("after the restart QEMU has %v", got)
	}
}
