package cmdline

import "vmhuge/internal/lazyregexp"

// KernelInstall is the command line that kernel-install(8) gives to new kernels.
const KernelInstall = "/etc/kernel/cmdline"

var kernelInstall = form{
	is:       func(name string) bool { return name == "cmdline" },
	patterns: []*lazyregexp.Regexp{kernelInstallText},
	example:  "root=… ro",
	line: func(text string, _ map[string]string) (string, bool) {
		from, to, ok := last(kernelInstallText, text)
		return text[from:to], ok
	},
}

var kernelInstallText = lazyregexp.New(`(?m)^[ \t]*([^# \t\n].*)$`)
