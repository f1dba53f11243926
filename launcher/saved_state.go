package launcher

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"

	"vmhuge/internal/advice"
)

// savedState is what libvirt keeps of a domain since virsh managedsave.
type savedState int

const (
	notSaved savedState = iota
	saved               // the next start goes on from it
	cutShort            // its save did not end; the next start discards it and boots anew
)

// next reads the XML that the next start uses: that of the saved state where it goes on
// from one, whatever has been defined since.
func (l *Launcher) next(d *domain) (doc []byte, state savedState, err error) {
	if d.state.active() || !l.isSaved(d) {
		return d.xml, notSaved, nil
	}
	text, err := d.ManagedSaveGetXMLDesc(0)
	if err == nil {
		return []byte(text), saved, nil
	}
	if has, hasErr := d.HasManagedSaveImage(0); hasErr == nil && !has {
		return d.xml, notSaved, nil // another start has just used it
	}
	if !l.session && !l.remote && isCutShort(l.host.Root.Path(l.host.Root.Libvirt().QEMULib(), "save", d.name+".save")) {
		return d.xml, cutShort, nil
	}
	err = refused(err, "reading the saved state of "+d.name)
	if told := (*advice.Error)(nil); errors.As(err, &told) && told.Do == "" {
		told.Do = "virsh managedsave-remove discards it"
	}
	return nil, saved, err
}

func (l *Launcher) isSaved(d *domain) bool {
	if l.survey != nil {
		return l.survey.saved[d.uuid]
	}
	has, err := d.HasManagedSaveImage(0)
	return err == nil && has
}

// isCutShort says whether libvirt will discard the file of a saved state: its header is not
// whole, or says that the save has not ended.
//
// Source: qemuSaveImageOpen() in libvirt's src/qemu/qemu_saveimage.c.
func isCutShort(file string) bool {
	const header, unfinished = 92, "LibvirtQemudPart"
	f, err := os.Open(filepath.Clean(file))
	if err != nil {
		return false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, header))
	return err == nil && (len(text) < header || bytes.HasPrefix(text, []byte(unfinished)))
}
