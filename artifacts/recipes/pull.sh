# shellcheck shell=bash
# Pull an image by digest and keep it in the store, so that a pruned Docker is refilled from there.
# PLAN: reference (registry/name@digest), keep_as (the name to save it under), one entry.
main() {
	local manifest reference had=yes
	manifest=$(entries)
	reference=$(get .reference)
	lock image
	workspace
	mkdir "$WORK/entry"
	docker image inspect "$reference" >/dev/null 2>&1 || had=no
	timeout 900 docker pull --quiet "$reference" >/dev/null ||
		die "$reference could not be pulled: does its registry answer, and has it this digest? What was there stays"
	docker tag "$reference" "$(get .keep_as)"
	docker save --output "$WORK/entry/image.tar" "$(get .keep_as)"
	docker rmi "$(get .keep_as)" >/dev/null
	if [ "$had" = no ]; then
		docker rmi "$reference" >/dev/null
	fi
	chmod 644 "$WORK/entry/image.tar"
	publish "$WORK/entry" "$manifest"
}

main </dev/null
