package metrics

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/hosttest"
)

const nobody = 65534

// openDir is a folder in a place that every user may enter.
func openDir(t *testing.T) string {
	t.Helper()
	hosttest.NeedRoot(t)
	dir, err := os.MkdirTemp("/tmp", "vmhuge-test-")
	hosttest.Must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	hosttest.Must(t, os.Chmod(dir, 0o755))
	return dir
}

// The owner of the folder puts links to root's file in the place of what is written there:
// the file stays as it is.
func TestWriteFileToAnAttacker(t *testing.T) {
	dir := openDir(t)
	secret := filepath.Join(t.TempDir(), "secret")
	hosttest.Must(t, os.WriteFile(secret, []byte("secret\n"), 0o600))
	hosttest.Must(t, os.Chown(dir, nobody, nobody))
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
			}
			files, _ := os.ReadDir(dir)
			for _, f := range files {
				if f.Type().IsRegular() && f.Name() != "vmhuge.prom" {
					_ = os.Symlink(secret, dir+"/link")
					_ = os.Rename(dir+"/link", filepath.Join(dir, f.Name()))
				}
			}
		}
	}()
	for range 20 {
		_ = New("", host(t)).WriteFile(dir + "/vmhuge.prom") // may fail
		st, err := os.Stat(secret)
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Fatalf("root's file is %v, %v", st.Mode(), err)
		}
		time.Sleep(time.Millisecond)
	}
	close(done)
	<-stopped
}

// Root writes into a user's folder as that user, and into none that others may change.
func TestWriteFileAsTheOwner(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(dir string) error // of dir, and of dir/below
		owner   uint32
		err     string
	}{
		"root's":         {func(string) error { return nil }, 0, ""},
		"a user's":       {func(dir string) error { return os.Chown(dir+"/below", nobody, nobody) }, nobody, ""},
		"a user's above": {func(dir string) error { return os.Chown(dir, nobody, nobody) }, 0, "permission denied"},
		"two users'": {func(dir string) error {
			return errors.Join(os.Chown(dir, 1, 1), os.Chown(dir+"/below", nobody, nobody))
		}, 0, "may both change"},
		"everybody's":         {func(dir string) error { return unix.Chmod(dir+"/below", 0o777) }, 0, "more users than its owner"},
		"everybody's above":   {func(dir string) error { return unix.Chmod(dir, 0o777) }, 0, "more users than its owner"},
		"everybody's, sticky": {func(dir string) error { return unix.Chmod(dir, 0o1777) }, 0, ""},
		"a link": {func(dir string) error {
			return errors.Join(os.Rename(dir+"/below", dir+"/real"), os.Symlink("real", dir+"/below"))
		}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := openDir(t)
			hosttest.Must(t, os.Mkdir(dir+"/below", 0o755))
			hosttest.Must(t, test.prepare(dir))
			file := dir + "/below/vmhuge.prom"
			err := New("", host(t)).WriteFile(file)
			if test.err != "" {
				if _, statErr := os.Stat(file); err == nil || !strings.Contains(err.Error(), test.err) || !errors.Is(statErr, fs.ErrNotExist) {
					t.Errorf("got %v, and the file: %v", err, statErr)
				}
				return
			}
			var st unix.Stat_t
			if statErr := unix.Stat(file, &st); err != nil || statErr != nil || st.Uid != test.owner || st.Gid != test.owner || st.Mode&0o7777 != 0o644 {
				t.Errorf("%v, %v; mode %o, owner %d:%d", err, statErr, st.Mode, st.Uid, st.Gid)
			}
			if files, _ := os.ReadDir(dir + "/below"); len(files) != 1 {
				t.Errorf("there are %v", files)
			}
		})
	}
}
