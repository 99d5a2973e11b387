# shellcheck shell=bash
# What every recipe begins with. A recipe is read from standard input on the machine that gets the
# artifact: `bash -s -- ROOT PLAN`, with this file in front of it. PLAN is JSON: what to make.
set -o errexit -o nounset -o pipefail
umask 022

ROOT=$1
PLAN=$2
STORE=$ROOT/store
CACHE=$ROOT/cache

die() {
	printf '%s\n' "$1" >&2
	exit 1
}

command -v jq >/dev/null || die "jq is missing on this machine: install it, then run again"

# get FILTER: what the plan says, as text.
get() {
	jq --raw-output --exit-status "$1" <<<"$PLAN"
}

# entries: the manifests that this run has to publish, one a line.
entries() {
	get '.entries[] | tojson'
}

# key MANIFEST: the folder in the store.
key() {
	jq --raw-output '"\(.name)-\(.version)"' <<<"$1"
}

# lock NAME: wait until nobody else does this work. Whatever this run starts inherits the lock, so
# what a killed run left running is awaited, not raced.
lock() {
	mkdir -p "$CACHE" "$STORE"
	exec 9>"$CACHE/$1.lock"
	flock --nonblock 9 || echo "waiting for another run that makes $1" >&2
	flock --wait 1500 9 || die "another run has been making $1 for 25 minutes: end it, then run again"
}

# workspace: an empty folder on the store's file system, gone when the recipe ends.
workspace() {
	WORK=$(mktemp --directory "$CACHE/work.XXXXXXXX")
	trap 'rm -rf "$WORK"' EXIT
}

# published MANIFEST: whether the store holds exactly this, by the sums of its manifest.
published() {
	local dir
	dir=$STORE/$(key "$1")
	[ -f "$dir/manifest.json" ] || return 1
	jq --exit-status --argjson wanted "$1" 'del(.files) == $wanted' "$dir/manifest.json" >/dev/null || return 1
	(cd "$dir" && jq --raw-output '.files | to_entries[] | "\(.value)  \(.key)"' manifest.json |
		sha256sum --check --status 2>/dev/null) || return 1
	# A tool that is the right one but cannot be run is not the right one.
	[ -z "$(find "$dir" -path "$dir/bin/*" -type f ! -perm -a=x)" ] || return 1
	stamp "$dir"
}

# stamp DIR: note mode, size and time of every file. While they stay, nobody reads the content again;
# a copy of the store that keeps times is trusted like the store.
stamp() {
	(cd "$1" && find . -type f ! -name manifest.json ! -name 'stamp*' \
		-printf '%P\t%m %s %T@\n' >stamp.new && mv stamp.new stamp)
}

# publish DIR MANIFEST: add sums to the manifest and move DIR into the store, whole or not at all.
publish() {
	local dir=$1 files target
	target=$STORE/$(key "$2")
	files=$(cd "$dir" && find . -type f -printf '%P\0' | sort --zero-terminated | xargs --null sha256sum |
		jq --raw-input 'capture("^(?<sum>[0-9a-f]{64})  (?<path>.+)$") | {(.path): .sum}' | jq --slurp add)
	jq --null-input --compact-output --argjson manifest "$2" --argjson files "$files" \
		'$manifest + {files: $files}' >"$dir/manifest.json"
	stamp "$dir"
	# mktemp made the folder for its owner alone; what is in the store is for everybody.
	chmod 755 "$dir"
	if [ -e "$target" ]; then
		mv --no-target-directory "$target" "$WORK/replaced"
	fi
	mv --no-target-directory "$dir" "$target"
	rm -rf "$WORK/replaced"
}
