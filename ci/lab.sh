#!/bin/sh
# A lab for the length of a CI job.
#
#   lab.sh run [COMMAND…]  make the lab, run a command on it, verify, take it down
#   lab.sh up              make the lab, and leave it to the steps that follow
#   lab.sh down            take it down
#   lab.sh key             print what a cache of the store is known by
#
# Without a command, the lab does the exercise of the chapter itself. In $SOPSLAB_REPORTS, by default
# sops-lab-reports here, are then up.xml and verify.xml (JUnit); env, which a step reads with `.` to
# use the lab; and support.tar.gz, if something failed. The exit code is that of what failed first.
#
# The Python environment is made in .venv of this project, or in the folder that $SOPSLAB_VENV names.
#
# With another $SOPSLAB_INVENTORY than inventories/ci.py, the lab is not the job's: only `down` takes
# it down, and leaves its keys and Git data.
set -u

project=$(cd "$(dirname "$0")/.." && pwd) || exit 1
# As make knows it: from the folder of the project.
venv=${SOPSLAB_VENV:-.venv}
reports=${SOPSLAB_REPORTS:-sops-lab-reports}
export SOPSLAB_INVENTORY="${SOPSLAB_INVENTORY:-inventories/ci.py}"
case $SOPSLAB_INVENTORY in
inventories/ci.py | */inventories/ci.py) of_job=yes ;;
*) of_job= ;;
esac
# The lab that is meant, as far as variables say: those that choose it, and those from which it has its
# name (sopslab/config/job.py). Both files below hold it, because they may be left from another job, or
# be about another lab.
meant=$(env | grep -E \
	-e '^SOPSLAB_(INVENTORY|LAB|FILE|ROOT)=' \
	-e '^(GITHUB_(REPOSITORY|RUN_ID|RUN_ATTEMPT|JOB)|RUNNER_NAME)=' \
	-e '^CI_(SERVER_URL|JOB_ID)=' \
	-e '^CI_(SYSTEM_URL|REPO|PIPELINE_NUMBER|WORKFLOW_NUMBER)=' | LC_ALL=C sort)
# Says to a later `down` that no `up` of this job has begun anything.
unbegun=$reports/nothing-was-begun
# Is there while an `up` of this job may have begun a lab that was not taken down yet.
begun=$reports/begun
# Whether that was there before this `up`.
earlier=
# The last that was waited for: what runs now is `$!`, if it is another.
ended=

main() {
	case ${1-} in
	run | up)
		trap 'stop 129' HUP
		trap 'stop 130' INT
		trap 'stop 143' TERM
		mkdir -p "$reports" || exit 1
		is_about_this_lab "$begun" && earlier=yes
		[ "$earlier" ] || printf '%s\n' "$meant" >"$unbegun" || exit 1
		provide await || exit
		printf '%s\n' "$meant" >"$begun" && rm -f "$unbegun" || exit 1
		trap 'finish $?' EXIT
		await sopslab up --junit "$reports/up.xml" || give_up $?
		sopslab env >"$reports/env" || exit
		;;
	esac
	case ${1-} in
	run)
		shift
		[ $# -gt 0 ] || set -- sopslab reset --to "done"
		# shellcheck source=/dev/null
		. "$reports/env"
		await "$@" || exit
		await sopslab verify --wait 60 --junit "$reports/verify.xml" || exit
		;;
	up)
		tell_github || exit
		trap - EXIT
		;;
	down)
		if is_about_this_lab "$unbegun"; then
			echo "this job has begun no lab, so none is taken down: for another lab, run sopslab down" >&2
		else
			# What has made the lab takes it down, too, where the package index is out of reach.
			provide || [ -x "$environment/bin/sopslab" ] || exit
			take_down
		fi
		;;
	key) provide && sopslab fetch --key ;;
	*)
		sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
		exit 2
		;;
	esac
}

# Have this project's own command, whatever else is installed, in an environment of its own. One that
# was made on another machine, or of a Python that is gone, does not start, and is made anew. What is
# no environment is not removed, whatever SOPSLAB_VENV names. With `await`, a signal ends it.
provide() {
	case $venv in
	/*) environment=$venv ;;
	*) environment=$project/$venv ;;
	esac
	PATH=$environment/bin:$PATH
	if ! "$environment/bin/pip" --version >/dev/null 2>&1 && [ -e "$environment/pyvenv.cfg" ]; then
		rm -rf "$environment"
	fi
	"$@" make --silent --directory "$project" "$venv/.runtime" >&2
}

# Say whether a file of an earlier call is there and about the lab that is meant now.
is_about_this_lab() {
	[ -e "$1" ] && [ "$(cat "$1")" = "$meant" ]
}

# Run a command so that a signal is heeded while it runs: a trap waits for what is in the foreground.
await() {
	"$@" &
	wait "$!"
	set -- $?
	ended=$!
	return "$1"
}

# Say in which file the kubeconfig is, where GitHub asks an action for what it has to tell.
tell_github() {
	[ "${GITHUB_OUTPUT-}" ] || return 0
	# shellcheck source=/dev/null
	(. "$reports/env" && echo "kubeconfig=$KUBECONFIG" >>"$GITHUB_OUTPUT")
}

# End because there is no lab. After bad input (2), beside another run (3) and on a lab of another
# version (22), `up` has begun nothing: what there is belongs to somebody else, or to an earlier `up`
# of this job, and stays until `down`.
give_up() {
	case $1 in
	2 | 3 | 22)
		trap - EXIT
		[ "$earlier" ] || mv "$begun" "$unbegun"
		;;
	esac
	exit "$1"
}

# End because of a signal: what runs now is told, and waited for. It is known by `$!`, which is there
# from the moment that it is started: a trap may run before the next command does.
stop() {
	trap : HUP INT TERM
	# Nothing at all may have been started.
	set +u
	if [ "$!" != "$ended" ]; then
		kill -TERM "$!" 2>/dev/null && wait "$!"
	fi
	exit "$1"
}

# Take the job's lab down, once, and end with the code of what failed first.
finish() {
	trap - EXIT
	trap : HUP INT TERM
	case $1 in
	# Nobody looks into a job that was cancelled, and it has seconds left.
	0 | 129 | 130 | 143) ;;
	*) timeout -k 10 120 sopslab support --output "$reports/support.tar.gz" >&2 ;;
	esac
	[ "$of_job" ] || exit "$1"
	take_down
	set -- "$1" $?
	[ "$1" -ne 0 ] || exit "$2"
	exit "$1"
}

# Leave nothing of the job's lab but the store. What a step that was killed has begun may go on for a
# while, and have the lab's lock (exit code 3). `timeout` is out of reach of signals to the whole job.
take_down() {
	for pause in 5 10 20 40 80 160 ""; do
		timeout -k 30 600 sopslab down ${of_job:+--purge --yes} && rm -f "$begun" && return
		set -- $?
		[ "$1" -eq 3 ] && [ "$pause" ] || return "$1"
		sleep "$pause"
	done
}

main "$@"
