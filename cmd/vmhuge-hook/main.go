// Command vmhuge-hook is libvirt's hook for QEMU guests: it gets the huge pages
// that a guest lacks before its start, and gives them back after its end.
//
// libvirtd waits for it and shows its stderr to whoever starts the guest. Some
// operations end a running guest if they fail (reconnect, started), so that all
// but the few that are served succeed at once, and only prepare may fail.
//
// Source: https://libvirt.org/hooks.html, and qemuProcessLaunch() and its kin
// in src/qemu/qemu_process.c.
package main

import (
	"os"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
)

func main() {
	if code, done := pool.RunErrand(os.Args); done {
		os.Exit(code)
	}
	os.Exit(run(host.Host{Root: "/"}, os.Args, os.Stdin, os.Stdout, os.Stderr))
}
