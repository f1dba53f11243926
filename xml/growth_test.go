package xml

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/internal/pages"
)

// growing is a domain that may grow, with a DIMM and a virtio-mem device, as libvirt shows it
// while it runs.
const growing = `<domain type='kvm'>
  <name>web1</name>
  <maxMemory slots='4' unit='GiB'>4</maxMemory>
  <memory unit='KiB'>1310720</memory>
  <currentMemory unit='KiB'>917504</currentMemory>
  <memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages></memoryBacking>
  <os><type arch='x86_64'>hvm</type></os>
  <features><acpi/></features>
  <cpu><numa><cell id='0' cpus='0' memory='524288' unit='KiB'/></numa></cpu>
  <devices>
    <memory model='dimm'>
      <target><size unit='KiB'>262144</size><node>0</node></target>
      <alias name='dimm0'/>
      <address type='dimm' slot='0' base='0x100000000'/>
    </memory>
    <memory model='virtio-mem'>
      <target>
        <size unit='KiB'>524288</size><node>0</node><block unit='KiB'>2048</block>
        <requested unit='KiB'>131072</requested>
        <current unit='KiB'>65536</current>
      </target>
    </memory>
  </devices>
</domain>
`

func TestReadMemory(t *testing.T) {
	m, err := ReadMemory([]byte(growing))
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Devices {
		if !strings.HasPrefix(m.Devices[i].XML, "<memory model='"+string(m.Devices[i].Kind)) {
			t.Errorf("device %d: %s", i, m.Devices[i].XML)
		}
		m.Devices[i].XML = ""
	}
	want := Memory{TotalKiB: 896 << 10, MaxKiB: 4 << 20, AllKiB: 1280 << 10, Slots: 4, Nodes: 1, Devices: []MemoryDevice{
		{Index: 0, Kind: pages.DIMM, SizeKiB: 256 << 10},
		{Index: 1, Kind: pages.VirtioMem, Slot: -1, SizeKiB: 512 << 10, RequestedKiB: 128 << 10, CurrentKiB: 64 << 10, BlockKiB: 2 << 10},
	}}
	if diff := cmp.Diff(want, m); diff != "" || m.UsedSlots() != 1 {
		t.Errorf("%d slots %s", m.UsedSlots(), diff)
	}
}

// What is put in and taken out again leaves the document as it was, and <memory> counts it.
func TestAddDIMM(t *testing.T) {
	for name, doc := range map[string]string{
		"with devices":       growing,
		"equal, other units": "<domain type='kvm'><name>a</name><memory unit='GiB'>1</memory><currentMemory unit='GiB'>1</currentMemory><os><type arch='x86_64'>hvm</type></os><features><acpi/></features><cpu><numa><cell cpus='0' memory='1' unit='GiB'/></numa></cpu><devices><emulator>/q</emulator></devices></domain>",
		"empty devices":      "<domain type='kvm'><name>a</name><memory>1048576</memory><os><type arch='x86_64'>hvm</type></os><features><acpi/></features><cpu><numa><cell cpus='0' memory='1' unit='GiB'/></numa></cpu><devices/></domain>",
		"no devices":         "<domain type='kvm'><name>a</name><memory>1048576</memory><os><type arch='x86_64'>hvm</type></os><features><acpi/></features><cpu><numa><cell cpus='0' memory='1' unit='GiB'/></numa></cpu></domain>",
	} {
		t.Run(name, func(t *testing.T) {
			before, err := ReadMemory([]byte(doc))
			if err != nil {
				t.Fatal(err)
			}
			out, device, err := AddDIMM([]byte(doc), 512<<10, 0)
			if err != nil {
				t.Fatal(err)
			}
			m, err := ReadMemory(out)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			last := m.Devices[len(m.Devices)-1]
			if m.TotalKiB != before.TotalKiB+512<<10 || last.Kind != pages.DIMM || last.XML != device || last.Slot != before.UsedSlots() {
				t.Errorf("%+v", m)
			}
			parsed, err := parse(out)
			if err != nil {
				t.Fatal(err)
			}
			was, _ := parse([]byte(doc))
			sum := func(d *document) int64 { n, _ := kib(uint64(d.domain.Memory.Value), d.domain.Memory.Unit); return n }
			if sum(parsed) != sum(was)+512<<10 {
				t.Errorf("<memory> is %d KiB", sum(parsed))
			}
			back, err := RemoveMemory(out, last)
			if err != nil || !Same(back, []byte(doc)) && !strings.Contains(name, "devices") {
				t.Errorf("%v\n%s", err, back)
			}
			if name == "with devices" && string(back) != doc {
				t.Errorf("other bytes:\n%s", back)
			}
		})
	}
}

func TestRequestMemory(t *testing.T) {
	m, err := ReadMemory([]byte(growing))
	if err != nil {
		t.Fatal(err)
	}
	out, device, err := RequestMemory([]byte(growing), m.Devices[1], 256<<10)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(growing, ">131072<", ">262144<", 1); string(out) != want {
		t.Errorf("%s", out)
	}
	if !strings.Contains(device, ">262144</requested>") || !strings.Contains(device, "<current") {
		t.Errorf("%s", device)
	}
}
