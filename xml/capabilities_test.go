package xml

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/internal/pages"
)

const capabilities = `<capabilities><host><topology><cells num='2'>
<cell id='0'><memory unit='KiB'>8</memory><pages unit='KiB' size='4'>1</pages><pages unit='KiB' size='2048'>32</pages></cell>
<cell id='2'><pages unit='GiB' size='1'>3</pages></cell>
</cells></topology></host></capabilities>`

func TestHostCells(t *testing.T) {
	got, err := HostCells(capabilities)
	want := []HostCell{{0, map[pages.Size]int64{4096: 1, pages.Size2MiB: 32}}, {2, map[pages.Size]int64{pages.Size1GiB: 3}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func FuzzHostCells(f *testing.F) {
	f.Add(capabilities)
	f.Fuzz(func(t *testing.T, text string) { _, _ = HostCells(text) })
}
