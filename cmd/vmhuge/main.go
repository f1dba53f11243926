// Command vmhuge runs existing libvirt VMs on huge pages, and proves it.
package main

import (
	"os"

	"vmhuge/hostprep/pool"
)

func main() {
	if code, done := pool.RunErrand(os.Args); done {
		os.Exit(code)
	}
	os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr))
}
