# shellcheck shell=bash
# Make a root file system of an image, pulled by digest, and of packages that its own apt adds from
# the mirror that it names.
# PLAN: reference (registry/name@digest), packages, one entry.
main() {
	local manifest reference packages
	manifest=$(entries)
	reference=$(get .reference)
	mapfile -t packages < <(get '.packages[]')
	begin_image
	mkdir "$WORK/entry"
	if ! docker image inspect "$reference" >/dev/null 2>&1; then
		timeout 900 docker pull --quiet "$reference" >/dev/null ||
			die "$reference could not be pulled: does its registry answer, and has it this digest? What was there stays"
		PULLED=$reference
		trap 'clear_containers; docker rmi "$PULLED" >/dev/null; rm -rf "$WORK"' EXIT
	fi
	# Not by `start`: this one has a network, until it is exported.
	CONTAINER=$(docker create --label sops-lab.build="$STORE" --entrypoint sleep "$reference" infinity)
	docker start "$CONTAINER" >/dev/null
	if ! within apt-get update -qq ||
		! within apt-get install -qq --yes --no-install-recommends "${packages[@]}" >/dev/null; then
		die "$(key "$manifest") could not be made: do the Debian mirror that $reference names, and names at all, answer in a container?"
	fi
	within rm -rf /var/cache/apt /var/lib/apt/lists
	docker export --output "$WORK/entry/rootfs.tar" "$CONTAINER"
	chmod 644 "$WORK/entry/rootfs.tar"
	publish "$WORK/entry" "$manifest"
}

# within COMMAND…: run it in the container, through the proxy of this machine, if it has one.
within() {
	timeout 900 docker exec --env DEBIAN_FRONTEND=noninteractive --env http_proxy --env https_proxy \
		"$CONTAINER" "$@"
}

main </dev/null
