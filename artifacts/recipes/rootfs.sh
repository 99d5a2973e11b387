# shellcheck shell=bash
# Make a root file system from Debian packages, from the mirror that this machine's apt uses.
# PLAN: codename, variant, packages, one entry.
main() {
	local manifest sources
	manifest=$(entries)
	lock "$(key "$manifest")"
	if published "$manifest"; then
		return
	fi
	workspace
	mkdir "$WORK/entry"
	# shellcheck disable=SC2016 # apt replaces these, not the shell
	sources=$(apt-get indextargets --format 'deb $(SITE) $(CODENAME) $(COMPONENT)' 'Identifier: Packages' |
		awk -v codename="$(get .codename)" '$3 == codename || index($3, codename "-") == 1' | sort --unique)
	[ -n "$sources" ] ||
		die "apt on this machine knows no Debian $(get .codename): add it to its sources, then run again"
	# Not for a machine that anybody works on: no documentation, and no fsync for every file.
	printf '%s\n' "$sources" | as_root mmdebstrap --quiet --mode=root --variant="$(get .variant)" \
		--include="$(get '.packages | join(",")')" \
		--aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
		--format=tar "$(get .codename)" - - >"$WORK/entry/rootfs.tar" ||
		die "$(key "$manifest") could not be made from Debian packages: see above"
	publish "$WORK/entry" "$manifest"
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo --non-interactive "$@"
	fi
}

main
