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

func TestContext(t *testing.T) {
	for inner, want := range map[string]string{
		"":                        "",
		"<seclabel type='none'/>": "none",
		"<seclabel type='none' model='selinux'/>":                                                        "none",
		"<seclabel type='none' model='apparmor'/>":                                                       "",
		"<seclabel type='dynamic' model='selinux' relabel='yes'/>":                                       "",
		"<seclabel type='dynamic' model='selinux'><baselabel>u:r:custom_t:s0</baselabel></seclabel>":     "u:r:custom_t:s0",
		"<seclabel type='static' model='selinux' relabel='yes'><label>u:r:my_t:s0:c1</label></seclabel>": "u:r:my_t:s0:c1",
		"<seclabel type='static' model='dac'><label>1:1</label></seclabel>":                              "",
	} {
		d, err := Demand([]byte("<domain><memory unit='MiB'>64</memory>"+inner+"</domain>"), 0)
		if d.Context != want || err != nil {
			t.Errorf("%s: %q, %v", inner, d.Context, err)
		}
	}
}
