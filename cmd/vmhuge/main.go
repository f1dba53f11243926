// Command vmhuge runs existing libvirt VMs on huge pages, and proves it.
package main

import "os"

func main() {
	os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr))
}
