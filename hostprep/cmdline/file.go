package cmdline

// File is a file of a boot loader's. One that is missing has no text.
type File struct {
	Path, Text string
	Own        bool // made by us, and of nobody else
	Edited     bool // ours is put on the command line in it
}
