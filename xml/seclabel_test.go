package xml

import "testing"

func TestUnconfined(t *testing.T) {
	for inner, want := range map[string]bool{
		"":                        false,
		"<seclabel type='none'/>": true,
		"<seclabel type='dynamic' model='apparmor' relabel='yes'/>":                      false,
		"<seclabel type='none' model='selinux'/>":                                        false,
		"<seclabel type='dynamic' model='dac'/><seclabel type='none' model='apparmor'/>": true,
	} {
		d, err := Demand([]byte("<domain><memory unit='MiB'>64</memory>"+inner+"</domain>"), 0)
		if d.Unconfined != want || err != nil {
			t.Errorf("%s: %v, %v", inner, d.Unconfined, err)
		}
	}
}
