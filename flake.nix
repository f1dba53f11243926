{
  description = "Run libvirt VMs on huge pages, and prove it";

  inputs.nixpkgs.url = "nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      package = system: nixpkgs.legacyPackages.${system}.callPackage ./packaging/nix/package.nix {
        version = "0-unstable-" + builtins.substring 0 8 self.lastModifiedDate;
      };
    in
    {
      packages = nixpkgs.lib.genAttrs systems (system: { default = package system; });
      nixosModules.default = { pkgs, lib, ... }: {
        imports = [ ./packaging/nix/module.nix ];
        programs.vmhuge.package = lib.mkDefault (package pkgs.stdenv.hostPlatform.system);
      };
    };
}
