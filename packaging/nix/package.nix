# vmhuge for Nix: nixpkgs.callPackage ./packaging/nix/package.nix { }
{ lib, buildGoModule, libvirt, pkg-config, version ? "0-unstable" }:

buildGoModule {
  pname = "vmhuge";
  inherit version;
  src = lib.cleanSource ../..;
  # Of what go mod vendor makes; a test in packaging says when it changes.
  vendorHash = "sha256-Q/We/S3/4W5Li6OL6KDgJHDV3/lUwSIVgce//zbDZII=";

  nativeBuildInputs = [ pkg-config ];
  buildInputs = [ libvirt ];

  postPatch = "patchShebangs packaging";
  buildPhase = ''
    runHook preBuild
    VERSION=${version} packaging/compile built
    runHook postBuild
  '';
  checkPhase = ''
    runHook preCheck
    packaging/check
    runHook postCheck
  '';
  installPhase = ''
    runHook preInstall
    PREFIX=$out packaging/install built ""
    runHook postInstall
  '';

  meta = {
    description = "Run libvirt VMs on huge pages, and prove it";
    license = with lib.licenses; [ asl20 bsd3 mit ];
    mainProgram = "vmhuge";
    platforms = lib.platforms.linux;
  };
}
