package lock

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWithoutPermission(t *testing.T) {
	err := cannot(&os.PathError{Op: "mkdir", Path: "/run/vmhuge", Err: unix.EACCES})
	if want := "changing the page pools: mkdir /run/vmhuge: permission denied; run vmhuge as root"; err.Error() != want {
		t.Errorf("%v\nnot\n%s", err, want)
	}
	if err := cannot(unix.EROFS); !errors.Is(err, unix.EROFS) {
		t.Error(err)
	}
}
