# shellcheck shell=bash
# Remove what was only needed to fill the store. PLAN: {}.
main() {
	lock go
	rm -rf "$CACHE"/go-* "$CACHE/modules" "$CACHE"/work.*
}

main </dev/null
