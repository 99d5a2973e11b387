# shellcheck shell=sh
# Have of the rules of Docker's chain for the user those of one bridge as given: BRIDGE RULE…, of
# which the last comes first. One transaction: at no moment is a rule missing that was there before
# and will be after.
PATH="$PATH:/usr/sbin:/sbin" bridge=$1
shift
# Not in the pipe, where it would fail unseen: no rule would be taken out.
present=$(iptables -w 10 -S DOCKER-USER)
{
	echo '*filter'
	printf '%s\n' "$present" | sed -n "s/^-A \(.* $bridge .*\)/-D \1/p"
	for rule; do
		echo "-I DOCKER-USER $rule"
	done
	echo COMMIT
} | iptables-restore -w 10 --noflush
