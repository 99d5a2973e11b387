# shellcheck shell=bash
# Copy a folder out of a Go module, verified by our go.sum.
# PLAN: module, package, path, arch, toolchain, one entry.
main() {
	local manifest dir
	manifest=$(entries)
	go_module "$(get .module)"
	dir=$(module_dir "$(get .package)")
	mkdir "$WORK/entry"
	cp -r --no-preserve=mode,ownership "$dir/$(get .path)" "$WORK/entry/files"
	publish "$WORK/entry" "$manifest"
}

main </dev/null
