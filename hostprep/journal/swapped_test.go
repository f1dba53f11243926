package journal

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// The owner of a folder puts one of root's in the place of the folder that is being made for
// them in it: they do not become its owner.
func TestSwappedFolder(t *testing.T) {
	hosttest.NeedRoot(t)
	dir := t.TempDir()
	const alice = 1000
	hosttest.Must(t, os.Mkdir(dir+"/roots", 0o700))
	hosttest.WriteFile(t, dir+"/roots/secret", "secret\n")
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, dir+"/roots", unix.AT_FDCWD, dir+"/.x.vmhuge", unix.RENAME_EXCHANGE)
			}
		}
	}()
	for range 1000 {
		_ = Apply(host.Host{Root: "/"}, change.Change{Kind: change.KindMkdir, Path: dir + "/x", To: "0700 1000:1000"}) // may fail
		for _, name := range []string{"roots", "x", ".x.vmhuge"} {
			var folder, secret unix.Stat_t
			if unix.Stat(dir+"/"+name, &folder) == nil && unix.Stat(dir+"/"+name+"/secret", &secret) == nil && folder.Uid == alice {
				t.Fatal("root's folder is alice's now")
			}
		}
		for _, name := range []string{"x", ".x.vmhuge"} {
			_ = unix.Rmdir(dir + "/" + name)
		}
		for _, name := range []string{"x", ".x.vmhuge"} { // with the secret in it
			if _, err := os.Stat(dir + "/" + name + "/secret"); err == nil {
				_ = unix.Rmdir(dir + "/roots")
				_ = os.Rename(dir+"/"+name, dir+"/roots")
			}
		}
		_ = os.Mkdir(dir+"/roots", 0o700) // fails as long as it is there
	}
	close(done)
	<-stopped
}
