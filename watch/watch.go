// Package watch tells when the files of a host that a status is made of have changed.
package watch

import (
	"context"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
)

// Interval is how often the page pools are read: the kernel tells nobody when they change.
const Interval = 2 * time.Second

// Files calls changed after each change of the hook's log, the ledger or the page pools,
// until the context ends. The error is of a kernel without inotify.
func Files(ctx context.Context, h host.Host, changed func()) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	w := files{host: h, watcher: watcher, log: hook.LogPath(h), claims: ledger.ClaimsPath(h.Root)}
	w.addFolders()
	w.pools, _ = h.Pools()
	go func() {
		defer watcher.Close()
		w.follow(ctx, changed)
	}()
	return nil
}

type files struct {
	host        host.Host
	watcher     *fsnotify.Watcher
	log, claims string
	pools       pool.State
}

func (w *files) follow(ctx context.Context, changed func()) {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-w.watcher.Events:
			if e.Name == w.log || e.Name == w.claims || filepath.Dir(e.Name) == w.claims {
				changed()
			}
		case <-w.watcher.Errors: // events were lost
			changed()
		case <-tick.C:
			pools, _ := w.host.Pools()
			if w.addFolders() || !reflect.DeepEqual(pools, w.pools) {
				w.pools = pools
				changed()
			}
		}
	}
}

// addFolders watches the folders that are there, and says whether one of them is new: the
// first vmhuge since the host booted makes them.
func (w *files) addFolders() (found bool) {
	known := w.watcher.WatchList()
	for _, folder := range []string{filepath.Dir(w.log), w.claims} {
		if w.watcher.Add(folder) == nil && !slices.Contains(known, folder) {
			found = true
		}
	}
	return found
}
