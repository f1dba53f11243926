package hosttest

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// InMountNamespace runs a test whose mounts nobody else sees. Only its own
// thread is in there, which ends with it.
func InMountNamespace(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	NeedRoot(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread is of no more use
		if err := errors.Join(unix.Unshare(unix.CLONE_FS|unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, "")); err != nil {
			t.Error(err)
			return
		}
		test(t)
	}()
	<-done
}
