# shellcheck shell=bash
# Pull an image by digest and keep it in the store, so that a pruned Docker is refilled from there.
# PLAN: reference (registry/name@digest), keep_as (the name to save it under), one entry.
main() {
	local manifest reference had=yes platform=()
	manifest=$(entries)
	reference=$(get .reference)
	lock image
	workspace
	mkdir "$WORK/entry"
	docker image inspect "$reference" >/dev/null 2>&1 || had=no
	timeout 900 docker pull --quiet "$reference" >/dev/null ||
		die "$reference could not be pulled: does its registry answer, and has it this digest? What was there stays"
	docker tag "$reference" "$(get .keep_as)"
	# Where images are containerd's, all platforms of an image would be named and one be there, which
	# `ctr` refuses; where they are not, older clients do not know the option.
	if [[ $(docker save --help) == *--platform* ]]; then
		platform=(--platform "linux/$(get '.entries[0].arch')")
	fi
	docker save "${platform[@]}" --output "$WORK/entry/image.tar" "$(get .keep_as)"
	docker rmi "$(get .keep_as)" >/dev/null
	if [ "$had" = no ]; then
		docker rmi "$reference" >/dev/null
	fi
	chmod 644 "$WORK/entry/image.tar"
	publish "$WORK/entry" "$manifest"
}

main </dev/null
