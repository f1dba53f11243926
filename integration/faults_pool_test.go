package integration

import (
	"fmt"
	"testing"

	"vmhuge/hostprep"
)

const unmapped = "unable to map backing store for guest RAM: Cannot allocate memory"

func gibs(n int) guest {
	return guest{memory: fmt.Sprintf("<memory unit='GiB'>%d</memory>", n), backing: pages1G}
}

func free1G(n int) func(t *testing.T) {
	return func(t *testing.T) { setPages(t, 0, size1G, n) }
}

// poolFaults are of the pools alone, a page more and a page less.
var poolFaults = []fault{
	{name: "pool-enough", verdict: hostprep.Ready},
	{name: "pool-one-short", pages: 31, verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "pool-empty", pages: -1, verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "memfd-enough", guest: memfd(""), verdict: hostprep.Ready},
	{name: "memfd-one-short", guest: memfd(""), pages: 31, verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "cells-enough", guest: more(cells32x2), verdict: hostprep.Ready},
	{name: "cells-one-short", guest: more(cells32x2), pages: 31, verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "dimm-enough", guest: device(pages2M, dimmOf("", 64)), pages: 64, verdict: hostprep.Ready},
	{name: "dimm-one-short", guest: device(pages2M, dimmOf("", 64)), pages: 63, verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "pool-1G-enough", of1G: true, setup: free1G(2), guest: gibs(2), verdict: hostprep.Ready},
	{name: "pool-1G-one-short", of1G: true, setup: free1G(1), guest: gibs(2), verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "sizes-mixed-enough", of1G: true, setup: free1G(1), guest: device(pages2M, dimmOf(of1G, 1024)), verdict: hostprep.Ready},
	{name: "sizes-mixed-short-of-1G", of1G: true, setup: free1G(0), guest: device(pages2M, dimmOf(of1G, 1024)), verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},

	// Pages promised to other programs, and overcommit.
	{name: "reserved-beside", pages: 33, setup: reserve(1), verdict: hostprep.Ready},
	{name: "reserved-one-short", setup: reserve(1), verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "overcommit-enough", pages: 31, setup: overcommit(1), verdict: hostprep.Ready},
	{name: "overcommit-one-short", pages: 30, setup: overcommit(1), verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "overcommit-alone", pages: -1, setup: overcommit(32), verdict: hostprep.Ready},
	{name: "overcommit-alone-one-short", pages: -1, setup: overcommit(31), verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "overcommit-for-reserved", setup: all(reserve(1), overcommit(1)), verdict: hostprep.Ready},
	{name: "overcommit-used-in-part", pages: -1, setup: all(surplus(0, 1), overcommit(33)), verdict: hostprep.Ready},
	{name: "overcommit-used-in-part-one-short", pages: -1, setup: all(surplus(0, 1), overcommit(32)), verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", fixable: true},
	{name: "min-size-of-another-mount", pages: 33, setup: otherMount("pagesize=2M,min_size=2M"), verdict: hostprep.Ready},
	{name: "min-size-of-another-mount-one-short", setup: otherMount("pagesize=2M,min_size=2M"), verdict: hostprep.NoMemory, says: unmapped, cause: "min-size", mends: true},
	{name: "min-size-of-its-own-mount", setup: mountAgain(mount2M, "pagesize=2M,min_size=2M"), verdict: hostprep.Ready},
	{name: "min-size-of-its-own-mount-one-short", pages: 31, setup: mountAgain(mount2M, "pagesize=2M,min_size=2M"), verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "min-size-of-its-own-mount-in-use", setup: all(again("min_size=4M"), neighbour(2)), verdict: hostprep.Ready},
	{name: "min-size-of-its-own-mount-in-use-one-short", pages: 31, setup: all(again("min_size=4M"), neighbour(2)), verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},

	// What the ledger says of other guests.
	{name: "claim-of-a-starting-guest", pages: 48, setup: promised(16), verdict: hostprep.Ready},
	{name: "claim-of-a-starting-guest-one-short", pages: 47, setup: promised(16), verdict: hostprep.Unknown, tossed: true}, // it depends on which guest is first
	{name: "claim-of-a-running-guest", setup: claimed, verdict: hostprep.Ready},
	{name: "claim-of-a-running-guest-one-short", pages: 31, setup: claimed, verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
}

// sizeAndMinSizeFaults may leave a kernel with too small a count of reserved pages: Linux 6.18, for
// one, forgets the pages of min_size= of a mount with both options where the pool is too short for
// a mapping that size= allows, and takes them off once more at the end. Debian 6.1, 6.12 and 7.3 do not.
var sizeAndMinSizeFaults = []fault{
	{name: "min-size-of-its-own-mount-forgotten", pages: 31, setup: again("size=64M,min_size=4M"), verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short"},
}
