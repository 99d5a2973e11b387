# shellcheck shell=sh
# Begin in the background what a recipe makes that is read from standard input: ROOT PLAN…
recipe=$(cat)
root=$1
shift
mkdir -p "$root/cache"
# One after the other; their output is shown by the run that awaits them and fails itself.
# shellcheck disable=SC2016 # the inner shell replaces these
setsid bash -c 'recipe=$1 root=$2; shift 2
    for plan; do bash -c "$recipe" recipe "$root" "$plan"; done' \
	head-start "$recipe" "$root" "$@" </dev/null >/dev/null 2>&1 &
