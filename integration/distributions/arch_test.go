package distributions

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestArch has makepkg make Arch's package, as a user who is not root. It does not let root, so
// root takes the part of another user, who may write what root may.
func TestArch(t *testing.T) {
	dir := source(t)
	run(t, "shellcheck", "-s", "bash", filepath.Join(dir, "vmhuge.install"))
	command := []string{"env", "--chdir=" + dir, "PKGDEST=" + dir, "SRCDEST=" + dir, "BUILDDIR=" + dir, "PKGEXT=.pkg.tar.gz", "PACKAGER=Jo Doe <jo@debian.org>",
		"makepkg", "--nodeps", "--nocheck"}
	if os.Geteuid() == 0 {
		command = append([]string{"unshare", "--user", "--map-user=1000", "--map-group=1000"}, command...)
	}
	run(t, command...)
	// makepkg says what is in the package as bsdtar does.
	pkg := one(t, dir, "*.pkg.tar.gz")
	files := run(t, "tar", "-tzf", pkg)
	for _, file := range []string{"usr/bin/vmhuge", "usr/lib/vmhuge/vmhuge-hook", "usr/lib/systemd/system/vmhuge-metrics.service", "usr/share/man/man1/vmhuge.1.gz",
		"usr/share/zsh/site-functions/_vmhuge", "usr/share/licenses/vmhuge/LICENSE", "usr/share/doc/vmhuge/copyright", ".INSTALL"} {
		if !strings.Contains("\n"+files, "\n"+file+"\n") {
			t.Errorf("there is no %s in it:\n%s", file, files)
		}
	}
	if text := run(t, "tar", "-xzOf", pkg, ".PKGINFO"); !regexp.MustCompile(`(?m)^pkgver = 1\.2\.3-1$`).MatchString(text) || !strings.Contains(text, "\ndepend = libvirt\n") {
		t.Errorf("it says of itself: %s", text)
	}
}
