#!/bin/sh
# An OCI runtime in front of runc, for hosts whose capability bounding set lacks what
# `--privileged` asks for: runc would end with "unable to apply caps: operation not permitted".
# It takes from the container's process what this host cannot give, and execs runc.
set -eu

# Names in the order of their numbers in linux/capability.h; CapBnd is a bit mask over them.
capabilities='CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE
SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'

missing() {
	mask=$((0x$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)))
	bit=0
	for name in $capabilities; do
		[ $((mask >> bit & 1)) -eq 1 ] || printf 'CAP_%s\n' "$name"
		bit=$((bit + 1))
	done
}

# $1: the file; $2: where in it the process is. A negative oomScoreAdj needs CAP_SYS_RESOURCE.
relax() {
	missing | jq -R . | jq -s . >"$1.missing"
	jq --slurpfile missing "$1.missing" "
		($2 | .capabilities // {}) |= map_values(. - \$missing[0])
		| ($2 | select((.oomScoreAdj // 0) < 0) | .oomScoreAdj) |= 0
	" "$1" >"$1.relaxed"
	rm -f "$1.missing"
	mv "$1.relaxed" "$1"
}

verb='' bundle='.' process='' previous=''
for argument in "$@"; do
	case $previous in
	--bundle | -b) bundle=$argument ;;
	--process | -p) process=$argument ;;
	esac
	case $argument in
	create | run | exec) [ -n "$verb" ] || verb=$argument ;;
	--bundle=*) bundle=${argument#*=} ;;
	--process=*) process=${argument#*=} ;;
	esac
	previous=$argument
done

case $verb in
create | run) relax "$bundle/config.json" .process ;;
exec) [ -z "$process" ] || relax "$process" . ;;
esac
exec runc "$@"
