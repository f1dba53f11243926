package cmdline

import "regexp"

// KernelInstall is the command line that kernel-install(8) gives to new kernels.
const KernelInstall = "/etc/kernel/cmdline"

var kernelInstall = form{
	is:       func(name string) bool { return name == "cmdline" },
	patterns: []*regexp.Regexp{kernelInstallText},
	example:  "root=… ro",
	line: func(text string, _ map[string]string) (string, bool) {
		from, to, ok := last(kernelInstallText, text)
		return text[from:to], ok
	},
}

var kernelInstallText = regexp.MustCompile(`(?m)^[ \t]*([^# \t\n].*)$`)
