"""Operations that replace passwords of the Git server after one leaked, and prove it."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import operation

from sopslab.checks.causes import TELLING
from sopslab.config.environment import Environment
from sopslab.config.places import FLUX
from sopslab.config.settings import Settings
from sopslab.incidents.records import Cause
from sopslab.provision.command import Commands, lab_script, script
from sopslab.provision.facts.git import READS
from sopslab.provision.facts.rotation import LeakedLogins, Remembered, logins_dir
from sopslab.provision.operations.git import WRITE_ACCOUNTS, new_accounts
from sopslab.provision.operations.rotating import unfinished

# What leaked is kept until it is proven to be worth nothing.
_KEEP = """
leaked=$1 git=$2
shift 2
umask 077
mkdir -p "$leaked"
for user; do
    cp "$git/credentials/$user/git-credentials" "$leaked/$user.new"
    mv "$leaked/$user.new" "$leaked/$user"
done
set -- "$git"
"""

# Triples of a learner, a user and a repository that the user may read.
_TRY = (
    READS
    + TELLING
    + """
class=$1 leaked=$2 git=$3 base=$4
shift 4
umask 077
export LC_ALL=C
new=$(mktemp -d "$class/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
why() {
    if reads "$leaked/$user" "$repository"; then
        echo "the password that leaked still opens $repository"
    elif ! grep -q 'Authentication failed' "$new/said"; then
        echo "the password that leaked was not refused: $(told "$new/said")"
    elif ! reads "$git/credentials/$user/git-credentials" "$repository"; then
        echo "the new password does not open $repository: $(told "$new/said")"
    fi
}
while [ $# -gt 0 ]; do
    id=$1 user=$2 repository=$3
    shift 3
    problem=$(why)
    if [ -n "$problem" ]; then
        mkdir -p "$class/failed"
        echo "$user: $problem" >"$class/failed/$id"
    else
        rm -f "$leaked/$user"
    fi
done
"""
)


@operation()
def replaced(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Have another password for learners, and for Flux, which reads their repositories.

    + settings: the lab's settings
    + environments: whose
    """
    rotation = host.get_fact(Remembered, settings=settings)
    concerned = unfinished(settings, rotation, environments)
    if rotation is None or rotation.cause is not Cause.GIT_CREDENTIAL or not concerned:
        host.noop("no password leaked")
        return
    users = [*(one.id for one in concerned), FLUX]
    states = host.get_fact(LeakedLogins, settings=settings, users=users)
    unkept = [user for user in users if states.get(user) == "unkept"]
    leaked = [user for user in users if states.get(user) != "replaced"]
    if not leaked:
        host.noop("the passwords that leaked are replaced")
        return
    yield script(
        _KEEP + WRITE_ACCOUNTS,
        logins_dir(settings),
        settings.git_dir,
        *unkept,
        stdin=new_accounts(settings, leaked),
    )


@operation()
def proven(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Prove that the passwords which leaked are refused, and that the new ones work.

    + settings: the lab's settings
    + environments: whose
    """
    rotation = host.get_fact(Remembered, settings=settings)
    concerned = unfinished(settings, rotation, environments)
    if rotation is None or rotation.cause is not Cause.GIT_CREDENTIAL or not concerned:
        host.noop("no password is left to be tried")
        return
    logins = [(one.id, one.id, one.repository) for one in concerned]
    # Flux has one password for all of them.
    logins.append((concerned[0].id, FLUX, concerned[0].repository))
    yield lab_script(
        settings,
        _TRY,
        settings.class_dir,
        logins_dir(settings),
        settings.git_dir,
        settings.git_base_url,
        *(part for login in logins for part in login),
    )
