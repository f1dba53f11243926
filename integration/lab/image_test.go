package lab

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// image is the lab's disk and what belongs to it, in a directory of the cache.
type image struct {
	cache, dir string
	used       *os.File // a lock, held to the end of the process
}

// suite is the Debian that the lab runs.
func suite() string {
	if suite := os.Getenv("VMHUGE_LAB_SUITE"); suite != "" {
		return suite
	}
	return "bookworm"
}

// findImage makes the image if the cache has none by today's script.
var findImage = sync.OnceValues(func() (img image, err error) {
	if err := prerequisites(); err != nil {
		return img, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return img, err
	}
	img.cache = filepath.Join(cache, "vmhuge", "lab")
	if err := os.MkdirAll(img.cache, 0o700); err != nil { // there are keys in it
		return img, err
	}
	var script []byte
	for _, name := range madeBy() {
		text, err := os.ReadFile(name)
		if err != nil {
			return img, err
		}
		script = append(script, text...)
	}
	img.dir = filepath.Join(img.cache, fmt.Sprintf("%s-%.6x", suite(), sha256.Sum256(script)))
	if err := img.make(img.dir, img.build); err != nil {
		return img, err
	}
	img.used, err = lock(img.dir, 0, unix.LOCK_SH) // see removeOld
	return img, err
})

// prerequisites names what is missing, and the cure.
func prerequisites() error {
	if os.Geteuid() != 0 {
		return errors.New("the lab needs root, to make its disk; run: sudo ./just test")
	}
	// Where mke2fs lives is not always in the PATH that sudo leaves.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	var missing []string
	for _, name := range []string{"mmdebstrap", "mke2fs", "qemu-img", "qemu-system-x86_64", "ssh"} {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the lab needs %s, which this machine lacks; run: sudo ./just deps-test", strings.Join(missing, ", "))
	}
	return nil
}

// make fills dir by a function, unless dir is there. One process at a time makes
// something of a suite, and nobody sees it unfinished.
func (img image) make(dir string, fill func(unfinished string, making *os.File) error) error {
	making, err := lock(filepath.Join(img.cache, suite()+".lock"), os.O_CREATE, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer making.Close()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unfinished := filepath.Join(filepath.Dir(dir), "unfinished-"+suite())
	if err := os.RemoveAll(unfinished); err != nil { // of a run that was killed
		return err
	}
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return err
	}
	if err := fill(unfinished, making); err != nil {
		return errors.Join(err, os.RemoveAll(unfinished))
	}
	return os.Rename(unfinished, dir)
}

func (img image) build(dir string, making *os.File) error {
	img.removeOld()
	cmd := exec.Command("./image", suite(), dir)
	cmd.ExtraFiles = []*os.File{making} // should this process die, the lock stays until the script ends
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making the lab's disk: %w\n%s", err, out)
	}
	return nil
}

// removeOld removes the images of the suite that nobody uses.
func (img image) removeOld() {
	old, _ := filepath.Glob(filepath.Join(img.cache, suite()+"-"+strings.Repeat("[0-9a-f]", 12))) // not those of suite()-backports
	for _, dir := range old {
		if free, err := lock(dir, 0, unix.LOCK_EX|unix.LOCK_NB); err == nil {
			_ = os.RemoveAll(dir)
			_ = free.Close()
		}
	}
}

// lock opens a file or a directory and locks it until the file is closed.
func lock(path string, flags, how int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), how); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), file.Close())
	}
	return file, nil
}
