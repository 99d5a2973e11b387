# shellcheck shell=sh
# Start the Docker engine, with or without systemd, and wait until it answers.
PATH="$PATH:/usr/sbin:/sbin"

# By a clock that nobody sets: since the machine was started.
seconds() { cut -d. -f1 /proc/uptime; }

if [ -d /run/systemd/system ]; then
	# Docker's unit sets no limit to its start. Whether Docker answers decides, not how this ends.
	timeout 60 systemctl start docker || :
else
	# A group of its own, so that no signal meant for the run reaches it.
	setsid dockerd </dev/null >/var/log/dockerd.log 2>&1 &
fi
deadline=$(($(seconds) + 30))
until timeout 5 docker version >/dev/null 2>&1; do
	if [ "$(seconds)" -ge "$deadline" ]; then
		# By its beginning the sentence is known for one of ours.
		# shellcheck disable=SC2016 # it is a command for who reads it
		printf 'sops-lab says: %s %s\n' \
			'Docker is unavailable: it did not answer within 30 s after it was started;' \
			'see /var/log/dockerd.log or `journalctl -u docker`' >&2
		exit 1
	fi
	sleep 0.2
done
