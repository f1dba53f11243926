package distributions

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNix evaluates the package, NixOS's module and the flake, with a stub for what nixpkgs has:
// nothing is built.
func TestNix(t *testing.T) {
	eval := func(expression string) (value any) {
		t.Helper()
		state := t.TempDir()
		for _, name := range []string{"NIX_STORE_DIR", "NIX_STATE_DIR", "NIX_LOG_DIR", "NIX_CONF_DIR"} {
			t.Setenv(name, filepath.Join(state, name))
		}
		text := run(t, "nix-instantiate", "--eval", "--strict", "--json", "--expr", "let stub = import ./testdata/stub.nix; in "+expression)
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return value
	}
	type object = map[string]any
	type list = []any

	if got := eval(`let p = stub.callPackage ../../packaging/nix/package.nix { version = "1.2.3"; }; in [ p.pname p.version p.meta.mainProgram p.buildInputs ]`); !cmp.Equal(got, any(list{"vmhuge", "1.2.3", "vmhuge", list{"libvirt"}})) {
		t.Errorf("the package is %v", got)
	}
	if got := eval(`let f = import ../../flake.nix; in (f.outputs { self.lastModifiedDate = "20261130150000"; nixpkgs = stub.nixpkgs; }).packages.aarch64-linux.default.version`); got != "0-unstable-20261130" {
		t.Errorf("the flake's package is of version %v", got)
	}

	for settings, want := range map[string]any{
		`{ }`: nil,
		`{ enable = true; }`: object{
			"assertions": list{true}, "packages": list{"/nix/store/vmhuge"}, "etc": nil, "hooks": nil, "params": list{}, "mounts": nil, "units": nil, "services": nil},
		`{ enable = true; pages."2M" = 512; metrics.enable = true; hook.enable = true; }`: object{
			"assertions": list{true}, "packages": list{"/nix/store/vmhuge"},
			"etc": object{
				"vmhuge/hook.json":    object{"text": "{}\n"},
				"vmhuge/libvirt.json": object{"text": `{"localstatedir":"/var","runstatedir":"/run","sysconfdir":"/var/lib"}` + "\n"},
			},
			"hooks":  object{"90-vmhuge": "/nix/store/vmhuge/libexec/vmhuge/vmhuge-hook"},
			"params": list{"hugepagesz=2M", "hugepages=512"}, "mounts": nil,
			"units": list{"/nix/store/vmhuge"}, "services": object{"vmhuge-metrics": object{"wantedBy": list{"multi-user.target"}}}},
		`{ enable = true; pages."1G" = 4; hook = { enable = true; dropIfShort = true; hostReserveKiB = 1048576; }; }`: object{
			"assertions": list{true}, "packages": list{"/nix/store/vmhuge"},
			"etc": object{
				"vmhuge/hook.json":    object{"text": `{"drop_if_short":true,"host_reserve_kib":1048576}` + "\n"},
				"vmhuge/libvirt.json": object{"text": `{"localstatedir":"/var","runstatedir":"/run","sysconfdir":"/var/lib"}` + "\n"},
			},
			"hooks":  object{"90-vmhuge": "/nix/store/vmhuge/libexec/vmhuge/vmhuge-hook"},
			"params": list{"hugepagesz=1G", "hugepages=4"},
			"mounts": object{"/dev/hugepages1G": object{"device": "hugetlbfs", "fsType": "hugetlbfs", "options": list{"nosuid", "nodev", "pagesize=1G"}}},
			"units":  nil, "services": nil},
	} {
		if diff := cmp.Diff(want, eval(`stub.module ../../packaging/nix/module.nix `+settings)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", settings, diff)
		}
	}
}
