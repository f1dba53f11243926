# As much of nixpkgs as vmhuge's files for Nix use.
let
  lib = {
    mkEnableOption = description: { default = false; };
    mkOption = option: option;
    mkIf = condition: value: if condition then value else null;
    mkDefault = value: value;
    optionalAttrs = condition: set: if condition then set else { };
    literalExpression = text: text;
    concatLists = builtins.concatLists;
    mapAttrsToList = f: set: map (name: f name set.${name}) (builtins.attrNames set);
    genAttrs = names: f: builtins.listToAttrs (map (name: { inherit name; value = f name; }) names);
    cleanSource = path: toString path;
    types = {
      bool = builtins.isBool;
      package = value: true;
      ints = { unsigned = value: value >= 0; positive = value: value > 0; };
      nullOr = type: value: value == null || type value;
      attrsOf = type: set: builtins.all type (builtins.attrValues set);
    };
    licenses = { asl20 = "Apache-2.0"; bsd3 = "BSD-3-Clause"; mit = "MIT"; };
    platforms.linux = [ ];
  };
  callPackage = file: args: import file ({ inherit lib; buildGoModule = set: set; libvirt = "libvirt"; pkg-config = "pkg-config"; } // args);

  # The values of options: those given, else the defaults, each of the option's type.
  fill = options: given:
    assert builtins.all (name: options ? ${name}) (builtins.attrNames given);
    builtins.mapAttrs
      (name: option:
        if option ? default then
          let value = given.${name} or option.default; in
          assert (option.type or builtins.isBool) value; value
        else fill option (given.${name} or { }))
      options;
in
{
  inherit callPackage;
  nixpkgs = { inherit lib; legacyPackages.aarch64-linux = { inherit callPackage; }; };

  # module is what a module makes of settings of programs.vmhuge, by short names.
  module = file: settings:
    let
      made = import file {
        inherit lib;
        pkgs.callPackage = file: args: "/nix/store/vmhuge";
        config = {
          programs.vmhuge = fill made.options.programs.vmhuge settings;
          virtualisation.libvirtd.enable = true;
        };
      };
    in
    if made.config == null then null else {
      assertions = map (a: a.assertion) made.config.assertions;
      packages = made.config.environment.systemPackages;
      etc = made.config.environment.etc;
      hooks = made.config.virtualisation.libvirtd.hooks.qemu;
      params = made.config.boot.kernelParams;
      mounts = made.config.fileSystems;
      units = made.config.systemd.packages;
      services = made.config.systemd.services;
    };
}
