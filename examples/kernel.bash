# To be sourced: Debian's and Ubuntu's kernels, unpacked without installing.
# Whoever sources this has made a folder $work.

die() { echo "$0: $*" >&2; exit 1; }

# unpack NAME...: the contents of packages in $work/pkg.
unpack() {
	command -v apt-get dpkg-deb >/dev/null || die "no $1 here, and no apt-get to fetch it; put a vmlinuz and an initrd.gz into $dir by hand"
	(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$@") || die "cannot fetch $*; try: sudo apt-get update"
	for deb in "$work"/*.deb; do dpkg-deb -x "$deb" "$work/pkg"; rm "$deb"; done
}

# unpack_kernel META...: the newest kernel of the first of these that apt knows.
# Newer releases keep image and modules apart.
unpack_kernel() {
	local meta names
	for meta; do
		names=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$meta" 2>/dev/null |
			grep -E '^linux-(image|binary|modules)-[0-9]' | grep -v -e -unsigned- -e -extra- || true)
		[[ -z $names ]] || break
	done
	[[ $names ]] || die "apt knows no kernel package; try: sudo apt-get update"
	# shellcheck disable=SC2086
	unpack $names
}
