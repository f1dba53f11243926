// Command vmhuge makes an existing libvirt VM run on huge pages, and proves it.
package main

import "os"

func main() {
	os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr))
}
