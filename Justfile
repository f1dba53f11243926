# Recipes, the same for people and for CI. ./just RECIPE runs one, and installs just itself where it is missing.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Where deps links Go if PATH has none that go.mod accepts.
export PATH := env('XDG_CACHE_HOME', env('HOME') / '.cache') / 'vmhuge/bin:' + env('PATH')
# Distributions set it to local; a Go older than go.mod asks for is to fetch the newer one.
export GOTOOLCHAIN := env('GOTOOLCHAIN', 'auto')

qemu := if arch() == 'aarch64' { 'qemu-system-arm' } else { 'qemu-system-x86' }
# The last version that Go 1.24 builds.
golangci_lint := 'github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.8.0'

[private]
default:
    @{{ just_executable() }} --list --unsorted

# install what building and the demo need: Debian packages, Go, the modules
deps: deps-build
    @./deps libvirt-daemon-driver-qemu libvirt-daemon-system libvirt-clients {{ qemu }} busybox-static cpio xz-utils zstd

[private]
deps-build:
    @./deps ca-certificates gcc libc6-dev pkg-config libvirt-dev
    @./deps --go
    @go mod download

# install what else the tests need: the lab, shells, packaging, Ansible, Prometheus
deps-test: deps
    @./deps strace mmdebstrap curl qemu-utils openssh-client e2fsprogs zsh fish groff-base mandoc systemd dpkg-dev lintian rpm secilc checkpolicy tmux ansible-core yamllint pycodestyle python3-voluptuous
    @./deps --only prometheus prometheus promtool

[private]
deps-browser: deps-test cockpit
    @./deps cockpit-bridge chromium iproute2
    @./deps --only cockpit-ws cockpit-ws

# install what only the benchmarks need
deps-bench: deps
    @./deps virtinst time libhugetlbfs-bin

# urfave/cli's own writer of man pages, which is not used, fills tables at each start of vmhuge.
without_docs := '-tags urfave_cli_no_docs'

# build bin/vmhuge, and the static bin/vmhuge-hook
build:
    @echo "building: bin/vmhuge bin/vmhuge-hook"
    @go build {{ without_docs }} $(git rev-parse HEAD &>/dev/null || echo -buildvcs=false) -o bin/ ./cmd/vmhuge
    @CGO_ENABLED=0 go build -ldflags='-s -w' $(git rev-parse HEAD &>/dev/null || echo -buildvcs=false) -o bin/ ./cmd/vmhuge-hook

# the man pages, in bin/man
man: build
    @mkdir -p bin/man
    @SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat --format=%Y CHANGELOG.md) env -u LIBVIRT_DEFAULT_URI bin/vmhuge __man bin/man

# build the Cockpit page, into bin/cockpit
cockpit:
    @./deps --node
    @cd cockpit && { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --ignore-scripts --no-audit --no-fund --loglevel=error; }
    @echo "building: bin/cockpit"
    @cd cockpit && npm run --silent build

# a .deb, an .rpm and their SBOM, in dist; the first run builds nfpm, which takes a minute
package: deps-test
    @packaging/build dist

# what distributions build vmhuge from, in dist: a source tarball with all modules, vmhuge.spec, PKGBUILD
source: deps-build
    @packaging/source dist

# the packages as distributions build them of the source tarball, with rpmbuild and makepkg; Nix's files evaluated; autopkgtest in a chroot (as root)
distributions: deps-test
    @./deps rpmlint makepkg pacman-package-manager libarchive-tools shellcheck nix-bin autopkgtest
    go test -count=1 -timeout 60m -v ./integration/distributions

# the Cockpit page as a .deb and an .rpm, in dist
package-cockpit: deps-test cockpit
    @packaging/build-cockpit dist

# the Ansible collection, in dist
package-ansible: deps-test
    @packaging/build-ansible dist

# format, vet, and the tests that need neither root, libvirtd nor other programs: a good minute on two cores, before each commit
unit: deps-build format
    go vet -trimpath ./...
    .ci/in-memory go test -trimpath -vet=off -short -skip '^Test((Cockpit)?Packages|Collection|Source)$' $(go list ./... | grep -v /integration)

# Of the tests that take minutes, a commit runs a share: this number says which.
commit := `echo $((0x$(git rev-parse --short=7 HEAD 2>/dev/null || date +%j)))`

# format, vet, and the tests, including those on a real libvirtd; of the longest only a share, which depends on the commit (as root)
test: (lanes commit 'gzip' '70m')

# format, vet, and all tests, where `test` runs a share: before a release; two hours (as root)
test-whole: (lanes '' 'xz' '5h')

[private]
lanes COMMIT COMPRESSION LIMIT: deps-browser build format
    go vet ./...
    @.ci/lanes \
        'units' "COMPRESSION={{ COMPRESSION }} .ci/in-memory go test -vet=off -count=1 -timeout {{ LIMIT }} $(go list ./... | grep -v /integration | tr '\n' ' ')" \
        'machine' "SAMPLE={{ COMMIT }} go test -vet=off -count=1 -timeout {{ LIMIT }} -skip '^TestMicroVM' ./integration" \
        {{ if COMMIT == '' { '' } else { "'a libvirt of the matrix' \"SAMPLE=" + COMMIT + " go test -vet=off -count=1 -timeout " + LIMIT + " -v ./integration/matrix\"" } }} \
        'micro-VMs' "SAMPLE={{ COMMIT }} go test -vet=off -count=1 -timeout {{ LIMIT }} -run '^TestMicroVM' ./integration" \
        'lab with Debian 12' "VMHUGE_LAB_SUITE=bookworm go test -vet=off -count=1 -timeout {{ LIMIT }} $(.ci/lab-share 12 {{ COMMIT }}) ./integration/lab" \
        'lab with Debian 13' "VMHUGE_LAB_SUITE=trixie go test -vet=off -count=1 -timeout {{ LIMIT }} $(.ci/lab-share 13 {{ COMMIT }}) ./integration/lab" \
        'lab with SELinux' "VMHUGE_LAB_SUITE=trixie-selinux go test -vet=off -count=1 -timeout {{ LIMIT }} $(.ci/lab-share selinux {{ COMMIT }}) ./integration/lab" \
        'lab with Debian 11' "VMHUGE_LAB_SUITE=bullseye go test -vet=off -count=1 -timeout {{ LIMIT }} $(.ci/lab-share 11 {{ COMMIT }}) ./integration/lab" \
        'lab with backports' "VMHUGE_LAB_SUITE=trixie-backports go test -vet=off -count=1 -timeout {{ LIMIT }} $(.ci/lab-share backports {{ COMMIT }}) ./integration/lab" \
        'lab with virtqemud' "VMHUGE_LAB_SUITE=trixie-virtqemud go test -vet=off -count=1 -timeout {{ LIMIT }} $(.ci/lab-share virtqemud {{ COMMIT }}) ./integration/lab"

# every test of the lab, on Debian 11 (bullseye), 12 (bookworm), 13 (trixie), 13 with its backports (trixie-backports) or with virtqemud (trixie-virtqemud); writes docs/tested.md (as root)
lab SUITE: deps-test
    VMHUGE_LAB_SUITE={{ SUITE }} go test -count=1 -timeout 90m -v ./integration/lab -update

[private]
format:
    @test -z "$(gofmt -l .)" || { echo "gofmt: not formatted: $(gofmt -l . | tr '\n' ' '); run gofmt -w on them" >&2; exit 1; }

# golangci-lint (its first run builds it, which takes a minute or two)
lint:
    go run {{ golangci_lint }} run

# the Cockpit page in a real browser (as root)
browser: deps-browser
    go test -count=1 -timeout 30m -v -run '^TestCockpit$' ./integration

# the benchmarks
bench: deps deps-bench build
    go test -count=1 -timeout 60m -run '^$' -bench . ./xml ./fleet ./integration

# collapse on the kernel of a suite of Debian, such as trixie-backports, in a micro-VM (as root)
collapse SUITE='': deps
    MICROVM_KERNEL={{ SUITE }} go test -count=1 -timeout 3h -v -run '^TestMicroVMCollapse$' ./integration

# many guests, with kills, forged processes and other programs that set the pools at random moments (as root)
chaos ROUNDS='200': deps
    CHAOS_ROUNDS={{ ROUNDS }} go test -count=1 -timeout 4h -v -run 'TestChaos$|TestCrowd' ./integration

# guests that grow and shrink, with kills at random moments; a round takes some seconds (as root)
chaos-growth ROUNDS='200': deps
    CHAOS_ROUNDS={{ ROUNDS }} go test -count=1 -timeout 4h -v -run '^TestChaosGrowth$' ./integration

# pages of 1 GiB that are split while guests start and end, with kills at random moments, in a micro-VM (as root)
chaos-demote ROUNDS='30': deps
    CHAOS_ROUNDS={{ ROUNDS }} go test -count=1 -timeout 4h -v -run '^TestMicroVMChaosDemote$' ./integration

# the same, alternating with vmhuge and the hook of another commit, as during an upgrade (as root)
chaos-versions COMMIT ROUNDS='100': deps
    #!/usr/bin/env bash
    set -euo pipefail
    other=$(mktemp -d)
    trap 'rm -rf "$other"' EXIT
    git archive {{ COMMIT }} | tar -x -C "$other"
    (cd "$other" && go build -buildvcs=false -o . ./cmd/vmhuge && CGO_ENABLED=0 go build -buildvcs=false -o . ./cmd/vmhuge-hook)
    CHAOS_OTHER=$other CHAOS_ROUNDS={{ ROUNDS }} go test -count=1 -timeout 4h -v -run '^TestChaos$' ./integration

# the same on two nodes, in a micro-VM, with steps of the clock; a round takes 10 s; SUITE: of the kernel, such as trixie-backports (as root)
chaos-nodes ROUNDS='100' SUITE='': deps
    MICROVM_KERNEL={{ SUITE }} CHAOS_ROUNDS={{ ROUNDS }} go test -count=1 -timeout 4h -v -run '^TestMicroVMChaosNodes' ./integration

# guests on 1 GiB pages from the kernel's CMA area (hugetlb_cma=), in micro-VMs and in the lab; SUITE: of a kernel with CMA (as root)
on-demand ROUNDS='50' SUITE='trixie-backports': deps-test
    MICROVM_KERNEL={{ SUITE }} ON_DEMAND_ROUNDS={{ ROUNDS }} go test -count=1 -timeout 12h -v -run '^TestMicroVMOnDemand' ./integration
    VMHUGE_LAB_SUITE={{ SUITE }} go test -count=1 -timeout 90m -v -run '^TestPrepareOnDemand$' ./integration/lab

# a Debian 13 whose SELinux enforces: the hook without the policy module and with it, labels, the audit log (as root)
selinux: deps-test
    VMHUGE_LAB_SUITE=trixie-selinux go test -count=1 -timeout 60m -v -run '^TestSELinux$' ./integration/lab -update

# system calls that fail, and kills at them, in prepare, undo, hook and enable; 0: each in turn, which takes an hour (as root)
faults COUNT='0': deps-build
    @./deps strace
    FAULTS={{ COUNT }} .ci/in-memory go test -count=1 -timeout 180m -v -run TestFailingCalls ./cmd/vmhuge

# plan random sets of guests, on this host and on three, then really start them (as root)
plans SETS='30': deps-test
    PLAN_SETS={{ SETS }} go test -count=1 -timeout 60m -v -run 'TestPlan|TestMicroVMTwoNodes/plan' ./integration
    PLAN_SETS={{ SETS }} go test -count=1 -timeout 60m -v -run '^TestPlanOnThreeHosts$' ./integration/lab

# random guests on random hosts with one node or two: check's verdict against the real start (as root)
fuzz-hosts COUNT='300': deps
    FUZZ_COUNT={{ COUNT }} go test -count=1 -timeout 120m -v -run 'TestFuzzHosts|TestMicroVMTwoNodesWith1G/fuzz-hosts' ./integration

# regenerate libvirt's and QEMU's messages about memory, and libvirt's translations, from their sources (downloads 150 MB)
messages:
    explain/testdata/sources "${TMPDIR:-/tmp}/vmhuge-sources"
    go test ./explain -timeout 20m -run TestTranslations -update -sources "${TMPDIR:-/tmp}/vmhuge-sources"
    go test ./explain -timeout 20m -run 'TestMessages|TestTroubleshooting' -update -sources "${TMPDIR:-/tmp}/vmhuge-sources"

# libvirt's split daemons, which the first run builds: with all files in a prefix, in a micro-VM, and as Fedora has them, with systemd, in the lab (as root)
virtqemud: deps-test
    @./deps curl $(integration/testdata/virtqemud --needs)
    @integration/testdata/virtqemud
    VIRTQEMUD="${XDG_CACHE_HOME:-$HOME/.cache}/vmhuge/virtqemud/libvirt" go test -count=1 -timeout 60m -v -run '^TestMicroVMVirtqemud$' ./integration
    VMHUGE_LAB_SUITE=trixie-virtqemud go test -count=1 -timeout 90m -v -run '^Test(Virtqemud|Hook|Prepare)$' ./integration/lab -update

# a guest's life on an emulated arm64 machine, with kernels of 16 KiB and of 4 KiB plain pages; downloads 350 MB once (as root)
arm64: deps
    @./deps {{ if arch() == 'aarch64' { 'gcc' } else { 'gcc-aarch64-linux-gnu' } }} mmdebstrap cpio xz-utils zstd
    go test -count=1 -timeout 2h -v ./integration/arm64

# every row of the tables of faults and of shapes, of which `test` runs a share (as root)
fault-table: deps
    go test -count=1 -timeout 120m -v -run 'TestFaults|TestShapes|TestMicroVMOneNode/kvm|TestMicroVMTwoNodesWith1G/faults|TestMicroVMPagesOf1GiB/(faults|shapes)' ./integration

# the integration tests with the libvirt and QEMU of each of four Debians, and with virtqemud, or of ROW: bullseye, bookworm, trixie, trixie-virtqemud, trixie-backports; writes docs/tested.md (as root)
matrix ROW='': deps
    @./deps mmdebstrap curl
    MATRIX_ROW={{ ROW }} go test -count=1 -timeout 12h -v ./integration/matrix -update

# rewrite the expected output of the command line's tests and docs/
golden:
    go test ./cmd/vmhuge -update
    go test ./hostprep/advise ./hostprep/boot ./hostprep/check ./hostprep/hostpage ./internal ./internal/versions -update
    go test ./explain -run 'TestMessages|TestTroubleshooting' -update
    go test ./metrics -run TestScrape -update

# remake the pictures in docs/ from a real terminal and real guests (as root)
screenshots: deps deps-browser
    @./deps xvfb xterm imagemagick fonts-dejavu-core
    SAVE_SENT={{ justfile_directory() }}/docs go test -count=1 -tags screenshots -timeout 30m -run Screenshot ./integration

# every fuzz target in turn, each for FUZZTIME
fuzz FUZZTIME='20s':
    @grep -r --include='*_test.go' '^func Fuzz' . | sed 's/:func \(Fuzz[A-Za-z0-9_]*\).*/ \1/' | while read -r file target; do \
        echo "fuzzing: $target"; \
        go test -run '^$' -fuzz "^$target\$" -fuzztime {{ FUZZTIME }} "$(dirname "$file")" </dev/null; \
    done

# build, then see it work: a guest that cannot get huge pages, then gets them
demo: deps build
    @examples/demo
