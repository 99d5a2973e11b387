# shellcheck shell=bash
# Build programs from a Go module of ours, whose go.mod and go.sum pin everything.
# PLAN: module, tags, ldflags, arch, toolchain, entries with their programs {file: package}, and perhaps
# embed {module, package, into, from}.
main() {
	local manifest packages=() package name file
	go_module "$(get .module)"
	if get .embed >/dev/null; then
		embed
	fi
	mapfile -t packages < <(get '.programs[] | .[]')
	mkdir "$WORK/out"
	# No debug information is compiled only to be stripped by the linker: a sixth of the time.
	go build -trimpath -buildvcs=false -tags "$(get '.tags // ""')" -gcflags=all=-dwarf=false \
		-ldflags "-s -w $(get .ldflags)" -o "$WORK/out/" "${packages[@]}" ||
		die "Go could not build $(get '[.entries[] | "\(.name) \(.version)"] | join(", ")'): see above"
	while read -r manifest; do
		mkdir -p "$WORK/entry/bin"
		while IFS=$'\t' read -r file package; do
			name=$package
			# Go names a program after its folder, but not after the v2 of a major version.
			if [[ ${name##*/} =~ ^v[0-9]+$ ]]; then
				name=${name%/*}
			fi
			mv "$WORK/out/${name##*/}" "$WORK/entry/bin/$file"
		done < <(jq --raw-output --argjson manifest "$manifest" \
			'.programs[$manifest.name] | to_entries[] | [.key, .value] | @tsv' <<<"$PLAN")
		publish "$WORK/entry" "$manifest"
	done < <(entries)
}

# Files that a program embeds but its module lacks go into a writable copy of that module.
embed() {
	local dir
	dir=$(module_dir "$(get .embed.package)")
	cp -r --no-preserve=mode,ownership "$dir" "$WORK/embed"
	mkdir -p "$WORK/embed/$(get .embed.into)"
	cp "$STORE/$(get .embed.from)"/* "$WORK/embed/$(get .embed.into)/"
	go mod edit -replace "$(get .embed.module)=$WORK/embed"
}

main </dev/null
