package lock

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWithoutPermission(t *testing.T) {
	const denied = "changing the page pools: mkdir /run/vmhuge: permission denied; "
	for euid, want := range map[int]string{
		1000: denied + "run vmhuge as root",
		0:    denied + "root may not do it here: it is a container, or SELinux or AppArmor denies it; ausearch -m avc -ts recent, or journalctl -k | grep -i denied",
	} {
		if err := cannot(&os.PathError{Op: "mkdir", Path: "/run/vmhuge", Err: unix.EACCES}, euid); err.Error() != want {
			t.Errorf("%d: %v\nnot\n%s", euid, err, want)
		}
		if err := cannot(unix.EROFS, euid); !errors.Is(err, unix.EROFS) {
			t.Error(err)
		}
	}
}
