# vmhuge in NixOS's configuration. NixOS makes /etc and libvirt's folder of hooks from it, so what
# vmhuge prepare --persist and vmhuge hook install do elsewhere is said here.
{ config, lib, pkgs, ... }:

let
  inherit (lib) mkEnableOption mkIf mkOption types;
  cfg = config.programs.vmhuge;
  # NixOS builds libvirt with these; the hook reads them there.
  directories = { sysconfdir = "/var/lib"; localstatedir = "/var"; runstatedir = "/run"; };
  settings = lib.optionalAttrs cfg.hook.dropIfShort { drop_if_short = true; }
    // lib.optionalAttrs (cfg.hook.hostReserveKiB != null) { host_reserve_kib = cfg.hook.hostReserveKiB; };
in
{
  options.programs.vmhuge = {
    enable = mkEnableOption "vmhuge, which runs libvirt guests on huge pages";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The package of vmhuge.";
    };

    pages = mkOption {
      type = types.attrsOf types.ints.unsigned;
      default = { };
      example = { "1G" = 16; "2M" = 2048; };
      description = "How many huge pages of each size the kernel reserves at boot.";
    };

    hook = {
      enable = mkEnableOption "libvirt's hook: it allocates a guest's pages however the guest is started";

      dropIfShort = mkOption {
        type = types.bool;
        default = false;
        description = "Restore a saved guest without huge pages if there are too few.";
      };

      hostReserveKiB = mkOption {
        type = types.nullOr types.ints.positive;
        default = null;
        description = "Ordinary memory that the hook leaves to the host, in KiB. null: by vmhuge's rule.";
      };
    };

    metrics.enable = mkEnableOption "metrics for Prometheus, on 127.0.0.1:9981";
  };

  config = mkIf cfg.enable {
    assertions = [{
      assertion = cfg.hook.enable -> config.virtualisation.libvirtd.enable;
      message = "programs.vmhuge.hook.enable needs virtualisation.libvirtd.enable.";
    }];

    environment.systemPackages = [ cfg.package ];
    environment.etc = mkIf cfg.hook.enable {
      "vmhuge/libvirt.json".text = builtins.toJSON directories + "\n";
      "vmhuge/hook.json".text = builtins.toJSON settings + "\n";
    };
    virtualisation.libvirtd.hooks.qemu = mkIf cfg.hook.enable {
      "90-vmhuge" = "${cfg.package}/libexec/vmhuge/vmhuge-hook";
    };

    boot.kernelParams = lib.concatLists
      (lib.mapAttrsToList (size: count: [ "hugepagesz=${size}" "hugepages=${toString count}" ]) cfg.pages);
    # systemd mounts the pages of the default size on /dev/hugepages.
    fileSystems = mkIf (cfg.pages ? "1G") {
      "/dev/hugepages1G" = { device = "hugetlbfs"; fsType = "hugetlbfs"; options = [ "nosuid" "nodev" "pagesize=1G" ]; };
    };

    systemd.packages = mkIf cfg.metrics.enable [ cfg.package ];
    systemd.services = mkIf cfg.metrics.enable {
      vmhuge-metrics.wantedBy = [ "multi-user.target" ];
    };
  };
}
