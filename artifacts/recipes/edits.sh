# shellcheck shell=bash
# Build from modules with texts of ours in place of theirs. Read behind go.sh and in front of module.sh.
# PLAN: edits [{module, file, text, becomes}].

# go_module NAME: what go.sh's does, and then the edits.
go_module() {
	local edit module dir
	rm -rf "${WORK:?}/$1"
	cp -r "$CACHE/modules/$1" "$WORK/$1"
	cd "$WORK/$1" || exit
	while read -r edit; do
		module=$(jq --raw-output .module <<<"$edit")
		dir=$WORK/edited/$module
		if [ ! -d "$dir" ]; then
			mkdir -p "$(dirname "$dir")"
			# What is required indirectly only has no package that could be asked for.
			go mod download "$module" || die "the Go module $module could not be had"
			cp -r --no-preserve=mode,ownership "$(go list -m -f '{{.Dir}}' "$module")" "$dir"
			go mod edit -replace "$module=$dir"
		fi
		replace_text "$dir/$(jq --raw-output .file <<<"$edit")" \
			"$(jq --raw-output .text <<<"$edit")" "$(jq --raw-output .becomes <<<"$edit")"
	done < <(get '.edits[] | tojson')
}

# replace_text FILE TEXT BECOMES. A text that is not there exactly once ends the build: with another
# version of the module, somebody has to look again.
replace_text() {
	local content before after
	[ -f "$1" ] || die "${1#"$WORK/edited/"} is not there, where a text has to be replaced"
	content=$(cat "$1")
	before=${content%%"$2"*}
	after=${content#*"$2"}
	if [ "$before" = "$content" ] || [ "${after%%"$2"*}" != "$after" ]; then
		die "${1#"$WORK/edited/"} does not have the text that has to be replaced exactly once: $2"
	fi
	printf '%s%s%s\n' "$before" "$3" "$after" >"$1"
}
