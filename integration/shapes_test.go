package integration

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep"
	"vmhuge/internal/versions"
)

// shape is a way to write down a guest's memory, and the pages that it takes.
// The numbers are computed by hand, not by vmhuge and not by libvirt.
type shape struct {
	name    string
	guest   guest
	want    pageCount
	refused string // what libvirt says to the definition, or QEMU at the start
	// The memory is a file and does not fill its last page: QEMU since 9.1
	// refuses it, whatever those before said.
	unfilled bool
}

// of1G says that the host must have pages of 1 GiB.
func (s shape) of1G() bool {
	return regexp.MustCompile(`size='1048576'|size='1' unit='GiB'|<pagesize unit='GiB'>1<`).MatchString(s.guest.xml())
}

// Abbreviations for the table; what a row is about is always spelled out.
const (
	mib64 = "<memory unit='MiB'>64</memory>"
	gib1  = "<memory unit='GiB'>1</memory>"
	// A cell of 64 MiB with room for memory devices.
	hotplug     = "<maxMemory slots='4' unit='GiB'>4</maxMemory>" + mib64
	cell64      = "<cpu><numa><cell id='0' cpus='0' memory='64' unit='MiB'/></numa></cpu>"
	cells32x2   = "<cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/><cell id='1' memory='32' unit='MiB'/></numa></cpu>"
	cells32x3   = "<cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/><cell id='1' memory='32' unit='MiB'/><cell id='2' memory='32' unit='MiB'/></numa></cpu>"
	cellGib32   = "<cpu><numa><cell id='0' cpus='0' memory='1' unit='GiB'/><cell id='1' memory='32' unit='MiB'/></numa></cpu>"
	cellGib32x2 = "<cpu><numa><cell id='0' cpus='0' memory='1' unit='GiB'/><cell id='1' memory='32' unit='MiB'/><cell id='2' memory='32' unit='MiB'/></numa></cpu>"
)

// nvdimmFile backs the nvdimm, which takes no memory of the host's.
const nvdimmFile = "/var/lib/libvirt/nvdimm"

func memory(element string) guest { return guest{memory: element, backing: pages2M} }
func backing(inner string) guest  { return guest{backing: inner} }
func more(inner string) guest     { return guest{backing: pages2M, more: inner} }
func cell(attributes string) guest {
	return more("<cpu><numa><cell id='0' cpus='0' " + attributes + "/></numa></cpu>")
}
func device(memoryBacking, inner string) guest {
	return guest{memory: hotplug, backing: memoryBacking, more: cell64, devices: inner}
}

var none, m32, m33 = pageCount{}, pageCount{size2M: 32}, pageCount{size2M: 33}

var shapes = []shape{
	// <memory>, no guest NUMA. libvirt rounds up to 1 MiB, and a file to a page.
	{name: "unit-none", guest: memory("<memory>65536</memory>"), want: m32},
	{name: "unit-KiB", guest: memory("<memory unit='KiB'>65536</memory>"), want: m32},
	{name: "unit-k", guest: memory("<memory unit='k'>65536</memory>"), want: m32},
	{name: "unit-MiB", guest: memory("<memory unit='MiB'>64</memory>"), want: m32},
	{name: "unit-M", guest: memory("<memory unit='M'>64</memory>"), want: m32},
	{name: "unit-KB", unfilled: true, guest: memory("<memory unit='KB'>65536</memory>"), want: m32}, // 62.5 MiB
	{name: "unit-MB", guest: memory("<memory unit='MB'>64</memory>"), want: pageCount{size2M: 31}},
	{name: "unit-b", guest: memory("<memory unit='b'>67108864</memory>"), want: m32},
	{name: "unit-bytes", guest: memory("<memory unit='bytes'>67108864</memory>"), want: m32},
	{name: "unit-bytes-one-more", unfilled: true, guest: memory("<memory unit='bytes'>67108865</memory>"), want: m33},
	{name: "unit-small-letters", guest: memory("<memory unit='mib'>64</memory>"), want: m32},
	{name: "not-a-MiB", unfilled: true, guest: memory("<memory unit='KiB'>65540</memory>"), want: m33},
	{name: "not-a-page", unfilled: true, guest: memory("<memory unit='MiB'>65</memory>"), want: m33},
	{name: "currentMemory-smaller", guest: memory(mib64 + "<currentMemory unit='MiB'>32</currentMemory>"), want: m32},
	{name: "dumpCore-off", guest: memory("<memory unit='MiB' dumpCore='off'>64</memory>"), want: m32},
	{name: "number-with-comment", guest: memory("<memory unit='MiB'>6<!-- x -->4</memory>"), want: m32},
	{name: "number-with-CDATA", guest: memory("<memory unit='MiB'><![CDATA[64]]></memory>"), want: m32},
	{name: "number-with-entity", guest: memory("<memory unit='MiB'>&#54;4</memory>"), want: m32},
	{name: "q35-around-the-4GiB-hole", guest: memory("<memory unit='MiB'>2816</memory>"), want: pageCount{size2M: 1408}},

	// <hugepages>
	{name: "no-hugepages", guest: guest{}, want: none},
	{name: "hugepages-bare", guest: backing("<hugepages/>"), want: m32},
	{name: "page-unit-none", guest: backing("<hugepages><page size='2048'/></hugepages>"), want: m32},
	{name: "page-unit-M", guest: backing("<hugepages><page size='2' unit='M'/></hugepages>"), want: m32},
	{name: "page-unit-bytes", guest: backing("<hugepages><page size='2097152' unit='b'/></hugepages>"), want: m32},
	{name: "page-nodeset-without-numa", guest: backing("<hugepages><page size='2048' nodeset='0'/></hugepages>"), want: m32},
	{name: "page-4KiB", guest: backing("<hugepages><page size='4' unit='KiB'/></hugepages>"), want: none},
	{name: "page-1G-unit-GiB", guest: guest{memory: gib1, backing: pages1G}, want: pageCount{size1G: 1}},
	{name: "page-1G-memory-1.5GiB", unfilled: true, guest: guest{memory: "<memory unit='MiB'>1536</memory>", backing: pages1G}, want: pageCount{size1G: 2}},

	// Guest NUMA cells. <memory> no longer counts.
	{name: "cells", guest: more(cells32x2), want: m32},
	{name: "cells-odd", unfilled: true, guest: more("<cpu><numa><cell id='0' cpus='0' memory='33' unit='MiB'/><cell id='1' memory='31' unit='MiB'/></numa></cpu>"), want: m33},
	{name: "cells-less-than-memory", guest: guest{memory: "<memory unit='MiB'>256</memory>", backing: pages2M, more: cells32x2}, want: m32},
	{name: "cells-more-than-memory", guest: guest{memory: "<memory unit='MiB'>32</memory>", backing: pages2M, more: cells32x2}, want: m32},
	{name: "cell-unit-none", guest: cell("memory='65536'"), want: m32},
	{name: "cell-not-a-MiB", unfilled: true, guest: cell("memory='65540' unit='KiB'"), want: m33},
	{name: "cell-shared", guest: cell("memory='64' unit='MiB' memAccess='shared'"), want: m32},
	{name: "cell-discard", guest: cell("memory='64' unit='MiB' discard='yes'"), want: m32},
	{name: "cells-without-id", guest: more("<cpu><numa><cell cpus='0' memory='32' unit='MiB'/><cell memory='32' unit='MiB'/></numa></cpu>"), want: m32},
	{name: "cells-bare-hugepages", guest: guest{backing: "<hugepages/>", more: cells32x2}, want: m32},
	{name: "nodeset-one-of-two", guest: guest{backing: "<hugepages><page size='2048' nodeset='0'/></hugepages>", more: cells32x2}, want: pageCount{size2M: 16}},
	{name: "nodeset-range", guest: guest{backing: "<hugepages><page size='2048' nodeset='0-1'/></hugepages>", more: cells32x3}, want: m32},
	{name: "nodeset-list", guest: guest{backing: "<hugepages><page size='2048' nodeset='0,2'/></hugepages>", more: cells32x3}, want: m32},
	{name: "nodeset-all-but", guest: guest{backing: "<hugepages><page size='2048' nodeset='0-2,^1'/></hugepages>", more: cells32x3}, want: m32},
	{name: "nodeset-goes-by-id-not-order", guest: guest{backing: "<hugepages><page size='2048' nodeset='0'/></hugepages>",
		more: "<cpu><numa><cell id='1' memory='48' unit='MiB'/><cell id='0' cpus='0' memory='16' unit='MiB'/></numa></cpu>"}, want: pageCount{size2M: 8}},
	{name: "nodeset-4KiB-beside-2M", guest: guest{backing: "<hugepages><page size='2048'/><page size='4' nodeset='1'/></hugepages>", more: cells32x2}, want: pageCount{size2M: 16}},
	{name: "two-sizes", guest: guest{backing: "<hugepages><page size='1048576' nodeset='0'/><page size='2048' nodeset='1'/></hugepages>", more: cellGib32}, want: pageCount{size1G: 1, size2M: 16}},
	{name: "two-sizes-one-for-the-rest", guest: guest{backing: "<hugepages><page size='2048'/><page size='1048576' nodeset='0'/></hugepages>", more: cellGib32x2}, want: pageCount{size1G: 1, size2M: 32}},
	{name: "two-sizes-and-4KiB", guest: guest{backing: "<hugepages><page size='1' unit='GiB' nodeset='0'/><page size='2' unit='MiB' nodeset='1'/></hugepages>", more: cellGib32x2}, want: pageCount{size1G: 1, size2M: 16}},

	// The other children of <memoryBacking>.
	{name: "memfd", guest: backing(pages2M + "<source type='memfd'/>"), want: m32},
	{name: "memfd-shared", guest: backing(pages2M + "<source type='memfd'/><access mode='shared'/>"), want: m32},
	{name: "memfd-private", guest: backing(pages2M + "<source type='memfd'/><access mode='private'/>"), want: m32},
	{name: "memfd-cells", guest: guest{backing: pages2M + "<source type='memfd'/>", more: cells32x2}, want: m32},
	{name: "memfd-1G", guest: guest{memory: gib1, backing: pages1G + "<source type='memfd'/>"}, want: pageCount{size1G: 1}},
	{name: "memfd-without-hugepages", guest: backing("<source type='memfd'/>"), want: none},
	{name: "file", guest: backing(pages2M + "<source type='file'/>"), want: m32},
	{name: "shared", guest: backing(pages2M + "<access mode='shared'/>"), want: m32},
	{name: "nosharepages", guest: backing("<nosharepages/>" + pages2M), want: m32},
	{name: "discard", guest: backing(pages2M + "<discard/>"), want: m32},
	{name: "allocation-immediate", guest: backing(pages2M + "<allocation mode='immediate'/>"), want: m32},
	{name: "allocation-threads", guest: backing(pages2M + "<allocation mode='immediate' threads='2'/>"), want: m32},

	// Host NUMA placement of memory that is whole pages.
	{name: "numatune-strict", guest: more("<numatune><memory mode='strict' nodeset='0'/></numatune>"), want: m32},
	{name: "numatune-mode-none", guest: more("<numatune><memory nodeset='0'/></numatune>"), want: m32},
	{name: "numatune-preferred", guest: more("<numatune><memory mode='preferred' nodeset='0'/></numatune>"), want: m32},
	{name: "numatune-interleave", guest: more("<numatune><memory mode='interleave' nodeset='0'/></numatune>"), want: m32},
	{name: "numatune-restrictive", guest: more("<numatune><memory mode='restrictive' nodeset='0'/></numatune>"), want: m32},
	{name: "memnode-strict", guest: more(cell64 + "<numatune><memnode cellid='0' mode='strict' nodeset='0'/></numatune>"), want: m32},
	{name: "numatune-restrictive-not-a-page", unfilled: true, guest: guest{memory: "<memory unit='MiB'>65</memory>", backing: pages2M, more: "<numatune><memory mode='restrictive' nodeset='0'/></numatune>"}, want: m33},

	// Memory devices.
	{name: "maxMemory-alone", guest: device(pages2M, ""), want: m32},
	{name: "dimm-inherits", guest: device(pages2M, "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>"), want: pageCount{size2M: 96}},
	{name: "dimm-not-a-page", guest: device(pages2M, "<memory model='dimm'><target><size unit='MiB'>127</size><node>0</node></target></memory>"), want: pageCount{size2M: 96}},
	{name: "dimm-own-size-plain-guest", guest: device("", "<memory model='dimm'><source><pagesize unit='KiB'>2048</pagesize></source><target><size unit='MiB'>128</size><node>0</node></target></memory>"), want: pageCount{size2M: 64}},
	{name: "dimm-4KiB", guest: device(pages2M, "<memory model='dimm'><source><pagesize unit='KiB'>4</pagesize></source><target><size unit='MiB'>128</size><node>0</node></target></memory>"), want: m32},
	{name: "dimm-1G", guest: device(pages2M, "<memory model='dimm'><source><pagesize unit='GiB'>1</pagesize></source><target><size unit='GiB'>1</size><node>0</node></target></memory>"), want: pageCount{size1G: 1, size2M: 32}},
	{name: "dimm-nodemask", guest: device(pages2M, "<memory model='dimm'><source><nodemask>0</nodemask></source><target><size unit='MiB'>128</size><node>0</node></target></memory>"), want: pageCount{size2M: 96}},
	{name: "dimm-of-unlisted-cell", guest: guest{memory: hotplug, backing: "<hugepages><page size='2048' nodeset='0'/></hugepages>", more: cells32x2,
		devices: "<memory model='dimm'><target><size unit='MiB'>128</size><node>1</node></target></memory>"}, want: pageCount{size2M: 16}},
	{name: "dimms", guest: device(pages2M, strings.Repeat("<memory model='dimm'><target><size unit='MiB'>32</size><node>0</node></target></memory>", 3)), want: pageCount{size2M: 80}},
	{name: "virtio-mem", guest: device(pages2M, "<memory model='virtio-mem'><target><size unit='GiB'>1</size><node>0</node><block unit='MiB'>2</block><requested unit='MiB'>64</requested></target></memory>"), want: m32},
	{name: "nvdimm", guest: device(pages2M, "<memory model='nvdimm' access='shared'><source><path>"+nvdimmFile+"</path></source><target><size unit='MiB'>32</size><node>0</node></target></memory>"), want: m32},

	// Elements that look as if they asked for huge pages, or do not matter.
	{name: "metadata-look-alike", guest: guest{more: "<metadata><x:memoryBacking xmlns:x='urn:x'><x:hugepages/></x:memoryBacking></metadata>"}, want: none},
	{name: "metadata-look-alike-beside", guest: more("<metadata><m xmlns='urn:m'><memory unit='GiB'>9</memory><memoryBacking><hugepages><page size='1048576'/></hugepages></memoryBacking></m></metadata>"), want: m32},
	{name: "comment-look-alike", guest: guest{more: "<!-- <memoryBacking><hugepages/></memoryBacking> -->"}, want: none},
	{name: "description-look-alike", guest: guest{more: "<description>&lt;memoryBacking&gt;&lt;hugepages/&gt;</description>"}, want: none},
	{name: "foreign-hugepages", guest: backing("<x:hugepages xmlns:x='urn:x'/>"), want: none},
	{name: "comment-in-hugepages", guest: backing("<hugepages><!-- why --><page size='2048'/></hugepages>"), want: m32},
	{name: "qemu-commandline", guest: more("<commandline xmlns='http://libvirt.org/schemas/domain/qemu/1.0'><env name='HUGE' value='no'/></commandline>"), want: m32},
	{name: "vcpu-current", guest: more("<vcpu current='1'>4</vcpu>"), want: m32},
	{name: "vcpu-cpuset", guest: more("<vcpu placement='static' cpuset='0'>2</vcpu>"), want: m32},
	{name: "cpu-topology", guest: more("<vcpu>4</vcpu><cpu><topology sockets='2' cores='2' threads='1'/></cpu>"), want: m32},
	{name: "video-vga-64MiB", guest: guest{backing: pages2M, devices: "<video><model type='vga' vram='65536'/></video>"}, want: m32},

	// Refused when defined.
	{name: "source-anonymous", guest: backing(pages2M + "<source type='anonymous'/>"), refused: "hugepages are not allowed with anonymous memory source"},
	{name: "allocation-ondemand", guest: backing(pages2M + "<allocation mode='ondemand'/>"), refused: "hugepages are not allowed with memory allocation ondemand"},
	{name: "allocation-ondemand-4KiB", guest: backing("<hugepages><page size='4'/></hugepages><allocation mode='ondemand'/>"), refused: "hugepages are not allowed with memory allocation ondemand"},
	{name: "two-masters", guest: backing("<hugepages><page size='2048'/><page size='1048576'/></hugepages>"), refused: "two master hugepages detected"},
	{name: "three-masters", guest: backing("<hugepages><page size='4'/><page size='2048'/><page size='1048576'/></hugepages>"), refused: "two master hugepages detected"},
	{name: "nodesets-intersect", guest: guest{backing: "<hugepages><page size='1048576' nodeset='0'/><page size='2048' nodeset='0-1'/></hugepages>", more: cells32x2}, refused: "intersect"},
	{name: "nodeset-of-no-cell", guest: guest{backing: "<hugepages><page size='2048' nodeset='2'/></hugepages>", more: cells32x2}, refused: "hugepages: node 2 not found"},
	{name: "page-size-zero", guest: backing("<hugepages><page size='0'/></hugepages>"), refused: "hugepage size can't be zero"},

	// Refused when started.
	{name: "page-size-no-power-of-two", guest: backing("<hugepages><page size='3072'/></hugepages>"), refused: "Unable to find any usable hugetlbfs mount for 3072 KiB"},
	{name: "memory-less-than-page", guest: backing(pages1G), refused: "must be equal to or larger than page size 0x40000000"},
	{name: "cell-less-than-page", guest: guest{backing: pages1G, more: cellGib32}, refused: "must be equal to or larger than page size 0x40000000"},
	{name: "memfd-not-a-page", guest: guest{memory: "<memory unit='MiB'>65</memory>", backing: pages2M + "<source type='memfd'/>"}, refused: "failed to resize memfd to 68157440: Invalid argument"},
	{name: "memfd-less-than-page", guest: backing(pages1G + "<source type='memfd'/>"), refused: "failed to resize memfd to 67108864: Invalid argument"},
	{name: "numatune-strict-not-a-page", unfilled: true, guest: guest{memory: "<memory unit='MiB'>65</memory>", backing: pages2M, more: "<numatune><memory mode='strict' nodeset='0'/></numatune>"}, refused: "cannot bind memory to host NUMA nodes: Invalid argument"},
	{name: "dimm-not-a-1G-page", unfilled: true, guest: device(pages2M, "<memory model='dimm'><source><pagesize unit='GiB'>1</pagesize></source><target><size unit='MiB'>1536</size><node>0</node></target></memory>"), refused: "backend memory size must be multiple of 0x40000000"},
	{name: "virtio-mem-block-less-than-page", guest: device(pages2M, "<memory model='virtio-mem'><source><pagesize unit='GiB'>1</pagesize></source><target><size unit='GiB'>1</size><node>0</node><block unit='MiB'>2</block><requested unit='MiB'>0</requested></target></memory>"), refused: "'block-size' property has to be at least the page size"},
}

// TestShapes starts each shape and counts what the kernel hands out.
func TestShapes(t *testing.T) { startShapes(t, sampled(t, shapes), 1440) }

// startShapes provides as many free pages as any shape takes, and more of 2 MiB: what a
// guest takes must not depend on how many are free.
func startShapes(t *testing.T, shapes []shape, pages2M int) {
	hostAsBefore(t)
	provided := errors.New("this processor has no pages of 1 GiB (pdpe1gb)")
	if has1G() {
		if provided = trySetPages(t, 0, size1G, 2); provided != nil && isMicroVM(t) {
			t.Fatal(provided)
		}
	}
	setPages(t, 0, size2M, pages2M)
	if err := os.WriteFile(nvdimmFile, make([]byte, 32<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			if s.of1G() && provided != nil {
				t.Skipf("%v: TestMicroVMPagesOf1GiB runs it", provided)
			}
			s.guest.name = domainName(t)
			if s.unfilled && here(t, versions.FilledPages) {
				s.want, s.refused = none, "memory size must be multiple of"
			}
			if strings.HasPrefix(s.refused, noSize) && !here(t, versions.NamesMount) {
				s.refused = noBackend
			}
			dom, err := tryDefine(t, s.guest)
			if err == nil {
				taken := takenPages(t, func() { err = tryStartPaused(dom) })
				if diff := cmp.Diff(s.want.nonZero(), taken); diff != "" {
					t.Errorf("pages gone from the pools (-want +got):\n%s", diff)
				}
			}
			switch {
			case s.refused == "" && err != nil:
				t.Errorf("refused: %v", err)
			case s.refused != "" && (err == nil || !strings.Contains(err.Error(), s.refused)):
				t.Errorf("got:  %v\nwant: %s", err, s.refused)
			case err == nil:
				if diff := cmp.Diff(s.want, pagesOf(t, pidOf(t, dom))); diff != "" {
					t.Errorf("pages in QEMU's page tables (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestUnfilledPage holds check to what this QEMU makes of memory that does not
// fill its last page.
func TestUnfilledPage(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 33)
	dom := define(t, memory("<memory unit='MiB'>65</memory>"))
	if !here(t, versions.FilledPages) {
		done(t, "check", nameOf(t, dom))
		startPaused(t, dom)
		return
	}
	if r := report(t, 3, "check", nameOf(t, dom)); r.Verdict != hostprep.BadDomain || !strings.Contains(r.Findings[0].Do, "--round") {
		t.Errorf("check: %+v", r)
	}
	startFails(t, dom, "memory size must be multiple of 2 MiB")
}

// TestShapesDemand asks vmhuge what each shape takes. It must know exactly,
// without looking at a host.
func TestShapesDemand(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			s.guest.name = domainName(t)
			file := filepath.Join(t.TempDir(), "domain.xml")
			if err := os.WriteFile(file, []byte(s.guest.xml()), 0o600); err != nil {
				t.Fatal(err)
			}
			got := vmhuge(t, "xml", "demand", "--json", "--default-size", "2M", file)
			if s.refused != "" {
				if got.Code != 1 {
					t.Errorf("exit %d for what libvirt refuses: %s\n%s%s", got.Code, s.refused, got.Stdout, got.Stderr)
				}
				return
			}
			if got.Code != 0 {
				t.Fatalf("exit %d: %s%s", got.Code, got.Stdout, got.Stderr)
			}
			var answer struct {
				Totals []struct {
					PageSizeKiB int `json:"page_size_kib"`
					Pages       int `json:"pages"`
				} `json:"totals"`
			}
			if err := json.Unmarshal([]byte(got.Stdout), &answer); err != nil {
				t.Fatalf("%v\n%s", err, got.Stdout)
			}
			pages := pageCount{}
			for _, total := range answer.Totals {
				pages[total.PageSizeKiB] += total.Pages
			}
			if diff := cmp.Diff(s.want, pages); diff != "" {
				t.Errorf("totals (-want +got):\n%s", diff)
			}
		})
	}
}
