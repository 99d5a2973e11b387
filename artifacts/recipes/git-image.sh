# shellcheck shell=bash
# Assemble the Git server's image from the store: its root file system, and programs beside it.
# PLAN: image, labels, base, programs {path in the image: path in the store}.
main() {
	local path base
	begin_image
	base=$(base_image "$(get .base)")
	start "$base"
	while read -r path; do
		mkdir -p "$WORK/root/$(dirname "$path")"
		cp "$STORE/$(get ".programs[\"$path\"]")" "$WORK/root/$path"
	done < <(get '.programs | keys[]')
	into_container "$WORK/root"
	commit 'ENTRYPOINT []' 'CMD ["/bin/sh"]'
}

main </dev/null
