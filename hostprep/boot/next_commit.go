package boot

import (
	"errors"
	"fmt"
	"io/fs"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
	"vmhuge/internal/sysctl"
)

// NextBootCommit is what the kernel lets programs map after the next boot.
type NextBootCommit struct{ host.Commit }

// Words are its limit, where that depends on the pools.
func (c NextBootCommit) Words() string {
	return fmt.Sprintf("vm.overcommit_memory is 2 at the next boot, and the kernel then commits %s less %d %% of what the pools have", pages.Amount(c.Limit), c.Ratio)
}

// More is how to raise it.
func (c NextBootCommit) More() string {
	return fmt.Sprintf("let the kernel commit more: in /etc/sysctl.d a vm.overcommit_ratio above %d, or vm.overcommit_memory = 0", c.Ratio)
}

// NextPoolRoom is how many bytes the pools may have after the next boot, where programs map as much
// as now: by what the kernel lets them map, and no less than now where it is held to that already.
func NextPoolRoom(h host.Host, reserve int64) (NextBootCommit, int64, error) {
	c, err := NextCommit(h)
	if err != nil {
		return c, 0, err
	}
	now, err := h.Commit()
	if err != nil || now.Mode != host.OvercommitNever {
		return c, c.PoolRoom(reserve), err
	}
	state, err := h.Pools()
	return c, max(c.PoolRoom(reserve), pool.Pooled(state)), err
}

// NextCommit is what the kernel lets programs map from the next boot on while the pools are empty,
// and what they map now. A setting that no file makes is taken to be made again as it is.
//
// Source: vm_commit_limit() in the kernel's mm/util.c; overcommit_ratio_handler() and
// overcommit_kbytes_handler() there, each of which ends the other's setting.
func NextCommit(h host.Host) (c NextBootCommit, err error) {
	c.Commit, err = h.Commit()
	if err != nil {
		return c, err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return c, err
	}
	fixed := int64(0)
	c.Ratio = 50
	for name, n := range map[string]*int64{"overcommit_kbytes": &fixed, "overcommit_ratio": &c.Ratio} {
		now, err := h.Root.ReadInt("proc", "sys", "vm", name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return c, err
		}
		if err == nil {
			*n = now
		}
	}
	settings, err := sysctlLines(h)
	if err != nil {
		return c, err
	}
	for _, s := range settings {
		n, wrong := sysctl.Number(s.Value)
		switch {
		case wrong != nil:
		case s.Name == "vm.overcommit_memory":
			c.Mode = n
		case s.Name == "vm.overcommit_ratio":
			c.Ratio, fixed = n, 0
		case s.Name == "vm.overcommit_kbytes":
			fixed = n
		}
	}
	if fixed > 0 {
		c.Ratio = 0
	}
	c.Limit = mem.Total*c.Ratio/100 + c.Swap
	return c, nil
}
