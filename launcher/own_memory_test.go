package launcher

import (
	"testing"

	"vmhuge/hostprep"
)

// What <qemu:commandline> takes from the pools is in no demand, so that only the start
// shows whether there is enough.
func TestOwnMemoryIsUnknown(t *testing.T) {
	for args, want := range map[string]hostprep.Verdict{
		"<qemu:arg value='-mem-path'/><qemu:arg value='/dev/hugepages'/>":                              hostprep.Unknown,
		"<qemu:arg value='-object'/><qemu:arg value='memory-backend-memfd,id=m,hugetlb=on,size=64M'/>": hostprep.Unknown,
		"<qemu:arg value='-name'/><qemu:arg value='other'/>":                                           hostprep.Ready,
	} {
		doc := "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>a</name><memory unit='GiB'>1</memory><qemu:commandline>" + args + "</qemu:commandline></domain>"
		if verdict, _, _ := hostprep.Conclude(cautions([]byte(doc))); verdict != want {
			t.Errorf("%s: %s, not %s", args, verdict, want)
		}
	}
}
