# shellcheck shell=bash
# Fetch a release file and take it only with the sum that is pinned, or that was recorded when it
# was first used.
# PLAN: url, file (its name in lock.json), sha256 or null, members {file: member or null}, one entry.
main() {
	local manifest url expected found file member said
	manifest=$(entries)
	url=$(get .url)
	lock release
	workspace
	said=$(curl --fail --silent --show-error --location --connect-timeout 10 --max-time 900 \
		--speed-limit 1024 --speed-time 30 --output "$WORK/download" "$url" 2>&1) ||
		die "$(get .file) could not be fetched from $url (${said#curl: }); what was there stays"
	found=$(sha256sum <"$WORK/download")
	found=${found%% *}
	expected=$(get '.sha256 // ""' || true)
	if [ -z "$expected" ]; then
		expected=$(recorded)
	fi
	if [ -n "$expected" ] && [ "$found" != "$expected" ]; then
		die "$(get .file) is not what is pinned: sha256 $expected was expected, $found was found; what was there stays"
	fi
	mkdir -p "$WORK/entry/bin"
	while IFS=$'\t' read -r file member; do
		if [ -z "$member" ]; then
			cp "$WORK/download" "$WORK/entry/bin/$file"
		else
			tar --extract --gzip --to-stdout --file "$WORK/download" "$member" >"$WORK/entry/bin/$file" ||
				die "$(get .file) has no member $member"
		fi
		chmod 755 "$WORK/entry/bin/$file"
	done < <(get '.members | to_entries[] | [.key, .value // ""] | @tsv')
	if [ -z "$expected" ]; then
		record "$found"
	fi
	publish "$WORK/entry" "$manifest"
}

# recorded: the sum of this file in lock.json, or nothing.
recorded() {
	if [ -f "$ROOT/lock.json" ]; then
		jq --raw-output --arg file "$(get .file)" '.[$file] // ""' "$ROOT/lock.json"
	fi
}

record() {
	local before='{}'
	if [ -f "$ROOT/lock.json" ]; then
		before=$(<"$ROOT/lock.json")
	fi
	jq --arg file "$(get .file)" --arg sum "$1" '.[$file] = $sum' <<<"$before" >"$WORK/lock.json"
	mv "$WORK/lock.json" "$ROOT/lock.json"
	echo "$(get .file): no sum is pinned; $1 is recorded in $ROOT/lock.json and asked for from now on" >&2
}

main </dev/null
