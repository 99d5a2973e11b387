# shellcheck shell=bash
# How image recipes use Docker: one container to work in, gone when the recipe ends, and nothing
# left behind of a run that was killed.

# begin_image: alone, with the leavings of a killed run removed.
begin_image() {
	docker info --format . >/dev/null || die "Docker does not answer: start it, then run again"
	lock image
	workspace
	trap 'clear_containers; rm -rf "$WORK"' EXIT
	clear_containers
}

clear_containers() {
	docker ps --all --quiet --filter label=sops-lab.build="$STORE" |
		xargs --no-run-if-empty docker rm --force --volumes >/dev/null
}

# base_image ENTRY: give Docker what an entry of the store holds; print the image's id.
base_image() {
	if [ -f "$STORE/$1/image.tar" ]; then
		# Docker says "Loaded image ID: sha256:…", or "Loaded image: name" for a named one.
		docker load --quiet --input "$STORE/$1/image.tar" | sed --quiet 's/^Loaded image[^:]*: //p'
	else
		docker import - <"$STORE/$1/rootfs.tar"
	fi
}

# start IMAGE [OPTION…]: the container to work in. It has no network: all is in the store.
start() {
	local image=$1
	shift
	CONTAINER=$(docker create --label sops-lab.build="$STORE" --network none --entrypoint sleep "$@" \
		"$image" infinity)
	docker start "$CONTAINER" >/dev/null
}

# into_container DIR: copy what is in DIR to the container's root, as root's.
into_container() {
	tar --directory "$1" --owner=0 --group=0 --numeric-owner --create . | docker cp - "$CONTAINER:/"
	rm -rf "$1"
}

# commit [CHANGE…]: make the container the image that the plan names.
commit() {
	local changes=() change before
	before=$(docker image inspect --format '{{.Id}}' "$(get .image)" 2>/dev/null || true)
	while read -r change; do
		changes+=(--change "$change")
	done < <(get '.labels | to_entries[] | "LABEL \(.key)=\(.value | tojson)"')
	for change in "$@"; do
		changes+=(--change "$change")
	done
	docker stop --time 0 "$CONTAINER" >/dev/null
	# The container's own label and entry point are not the image's.
	docker commit "${changes[@]}" --change 'LABEL sops-lab.build=""' "$CONTAINER" "$(get .image)" >/dev/null
	# What the name stood for before is of no use, unless a node still runs on it.
	if [ -n "$before" ]; then
		docker rmi "$before" >/dev/null 2>&1 || true
	fi
}
