package xml

import "testing"

func TestPlacement(t *testing.T) {
	for inner, want := range map[string][2]string{
		"": {},
		"<cputune><vcpupin vcpu='0' cpuset='1'/></cputune>":                                            {},
		"<vcpu cpuset='0-3,^2'>2</vcpu>":                                                               {"0-1,3"},
		"<vcpu cpuset='0'>2</vcpu><cputune><emulatorpin cpuset='4-5,7'/></cputune>":                    {"4-5,7"},
		"<vcpu placement='auto'>2</vcpu><cputune><emulatorpin cpuset='1'/></cputune>":                  {},
		"<cputune><emulatorpin cpuset='all'/></cputune>":                                               {},
		"<metadata><cputune><emulatorpin cpuset='1'/></cputune></metadata>":                            {},
		"<resource><partition>/machine/web</partition></resource>":                                     {"", "/machine/web"},
		"<resource><partition> /a </partition></resource><cputune><emulatorpin cpuset='1'/></cputune>": {"1", "/a"},
	} {
		d, err := Demand([]byte("<domain><memory unit='MiB'>64</memory>"+inner+"</domain>"), 0)
		if got := [2]string{d.EmulatorCPUs, d.Partition}; err != nil || got != want {
			t.Errorf("%s: %q, %v", inner, got, err)
		}
	}
}
