"""Operations on the Git server, its repositories and the clones."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import bcrypt
from pyinfra import host
from pyinfra.api import operation

from sopslab.checks.causes import for_bash
from sopslab.config.naming import git_server_name, network_name
from sopslab.config.places import GIT_SERVER_PORT, GIT_SERVER_USER, INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.files.archive import Tree, beginning, pack
from sopslab.files.events import named, note
from sopslab.files.render import RenderedFile, Renderer, render_tree
from sopslab.layout import CANARY_PATH
from sopslab.policy.recipients import CONFIG as CREATION_RULES
from sopslab.provision.command import Commands, lab_script, refusal, script
from sopslab.provision.facts.age import Identities, Identity
from sopslab.provision.facts.docker import Container
from sopslab.provision.facts.git import (
    AGE_ONLY,
    GIT_LOGIN,
    AccountDigest,
    BareRepositories,
    Clone,
    CloneOrigin,
    GitUsers,
    MovedLogins,
    Origin,
    RemoteHead,
    credentials_file,
)
from sopslab.provision.facts.host import Machine
from sopslab.provision.facts.seats import BegunSeats
from sopslab.provision.facts.tls import Tls

CONFIG_LABEL = "sops-lab.config"

# Accounts arrive on standard input, a line each, and appear by a rename, complete.
WRITE_ACCOUNTS = """
umask 077
mkdir -p "$1/credentials"
cd "$1"
shift
touch htpasswd
# Here, for the server sees nothing of this folder.
made=$(mktemp -d credentials/.new.XXXXXX)
trap 'rm -rf "$made"' EXIT
while IFS='\t' read -r user username password credential hash; do
    [ -n "$user" ] || continue
    set -- "$@" "credentials/$user"
    mkdir -p "$made/credentials/$user"
    printf %s "$username" >"$made/credentials/$user/username"
    printf %s "$password" >"$made/credentials/$user/password"
    printf '%s\\n' "$credential" >"$made/credentials/$user/git-credentials"
    printf '%s:%s\\n' "$user" "$hash" >>"$made/htpasswd"
done
if [ $# -gt 0 ]; then
    awk -F: 'NR == FNR { made[$1]; print; next } !($1 in made)' "$made/htpasswd" htpasswd \\
        >htpasswd.new
    # The Git server's group, which the folder hands on, reads it.
    chmod 640 htpasswd.new
    # Whoever has no password yet, or none any more, is given one by the next run.
    rm -rf "$@"
    mv htpasswd.new htpasswd
    mv "$made"/credentials/* credentials/
fi
# What the server's hook signs its calls with; Flux gets the same.
if [ ! -s receiver/token ]; then
    mkdir -p -m 750 receiver
    head -c 32 /dev/urandom | base64 | tr -d '\n' >receiver/token.new
    chmod 640 receiver/token.new
    mv receiver/token.new receiver/token
fi
"""

# Whoever runs the lab, the server is that user, too; but for root, it is $7. What it reads has its
# group. A repository is written by it and by the host's own git, and each can change what the other
# wrote: core.sharedRepository, in folders that hand on their group. It can write nothing else, and
# the passwords themselves are not there. No server runs until all of that is so.
SERVE = """
name=$1 network=$2 image=$3 data=$4 publish=$5 label=$6 unprivileged=$7 authority=${8:-}
docker rm -fv "$name" >/dev/null 2>&1 || true
user=$(id -u):$(id -g)
[ "$(id -u)" -ne 0 ] || user=$unprivileged:$unprivileged
cd "$data"
mkdir -p credentials receiver recipients repositories tls
chgrp "${user#*:}" . htpasswd
chmod 2750 .
chmod 640 htpasswd
chgrp -R "${user#*:}" receiver tls
chmod -R u=rwX,g=rX,o= receiver tls
chgrp -R --no-dereference "${user#*:}" repositories
chmod -R g=u,o= repositories
find repositories -type d -exec chmod g+s {} +
find repositories -maxdepth 1 -type d ! -name '*.git' -exec chmod g-w {} +
find repositories -maxdepth 3 -path '*.git/config' -exec grep -iL sharedRepository {} + \\
    | while IFS= read -r config; do git config --file "$config" core.sharedRepository group; done
# Three quarters of what there is.
hundredths=$(($(nproc) * 75))
docker run --detach --name "$name" --network "$network" --restart unless-stopped \\
    --label "$label" --publish "$publish" --user "$user" \\
    --read-only --tmpfs /tmp:mode=1777,size=192m --cap-drop ALL --security-opt no-new-privileges \\
    --memory 768m --cpus "$((hundredths / 100)).$((hundredths % 100))" \\
    --pids-limit 512 \\
    --log-opt max-size=1m --volume "$data:/srv/git:ro" \\
    --volume "$data/repositories:/srv/git/repositories" \\
    --tmpfs /srv/git/credentials:ro,size=4k,mode=0 \\
    --env PYTHONPATH=/srv/git/policy --env PYTHONPYCACHEPREFIX=/tmp/bytecode \\
    --entrypoint /usr/bin/python3 "$image" -m sopslab.gitserver /srv/git "${publish##*:}" \\
    ${authority:+/srv/git/tls/server.pem} >/dev/null
deadline=$(($(seconds) + 20))
until curl --silent --noproxy '*' ${authority:+--cacert "$authority"} --output /dev/null \\
        "http${authority:+s}://${publish%:*}/"; do
    if [ "$(seconds)" -ge "$deadline" ]; then
        docker logs --tail 5 "$name" >&2
        say "the Git server did not answer at ${publish%:*} within 20 s"
        exit 1
    fi
    sleep 0.1
done
"""

# What nobody may read comes on standard input and leaves encrypted, by the rule for the path $1 in
# the `.sops.yaml` of this folder; the value exists in pipes only, and no setting of a user counts.
ENCRYPT = (
    AGE_ONLY
    + """
encrypt_as() {
    if ! age_only <.sops.yaml >/dev/null; then
        say ".sops.yaml names recipients of another kind than age: take them out"
        return 1
    fi
    env -i PATH="$PATH" HOME=/nonexistent timeout 30 sops encrypt --filename-override "$1" \\
        --input-type yaml --output-type yaml /dev/stdin
}
"""
)

# Who commits from here on: $1, whose address is $2.
COMMIT_AS = """
commit_as() {
    export GIT_AUTHOR_NAME="$1" GIT_AUTHOR_EMAIL="$2" \\
        GIT_COMMITTER_NAME="$1" GIT_COMMITTER_EMAIL="$2"
}
"""

# Prints a canary whose value is standard input; $1 is where it goes, $2 its namespace.
_CANARY = (
    ENCRYPT
    + """
new_canary() {
    {
        printf 'apiVersion: v1\\nkind: Secret\\nmetadata:\\n  name: lab-canary\\n'
        printf '  namespace: %s\\nstringData:\\n  value: ' "$2"
        cat
    } | encrypt_as "$1"
}
"""
)

_SEED = (
    """
url=$1 name=$2 email=$3 canary=$4 namespace=$5 directory=$6
git_login "$7"
umask 077
"""
    + _CANARY
    + """
seed=$(mktemp -d "$directory/.new.XXXXXX")
trap 'rm -rf "$seed"' EXIT
cd "$seed"
base64 -d | tar -xz
if [ -n "$canary" ]; then
    head -c 24 /dev/urandom | base64 | new_canary "$canary" "$namespace" >"$canary"
fi
git -c init.defaultBranch=main init --quiet
git config user.name "$name"
git config user.email "$email"
git add --all
git commit --quiet --no-verify --message "Begin the lab"
# Whoever pushes to the branch `reset` is put back to this; no push itself can set it.
[ -z "${8:-}" ] || git --git-dir "$8" fetch --quiet "$seed" +HEAD:refs/lab/start
timeout 60 git push --quiet "$url.git" HEAD:refs/heads/main
"""
)

# The same for a class, straight into the bare repositories, which are this machine's own: a hundred
# pushes would take a minute. A few seats at a time; $5 is the script for one.
_SEEDS = """
git=$1 class=$2 canary=$3 ref=$4 one=$5 keys=$6
shift 6
umask 022
new=$(mktemp -d "$class/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
base64 -d | tar -xz -C "$new"
mkdir -p "$class/failed"
# Where that fails, the seat says so.
(umask 077; cd "$class/seats"; mkdir -p "$@") || true
printf '%s\\n' "$@" | xargs -P "$(nproc)" -I '{}' \\
    sh -euc "$one" sops-lab "$git" "$class" "$canary" "$new" '{}' "$ref" "$keys" || true
"""

# What the commit is called until it is main, and the start.
_NEW = "refs/lab/new"

# The canary's hash is kept first; the branch appears last. What is cut off has no `done`.
_SEED_SEAT = (
    _CANARY
    + """
git=$1 class=$2 canary=$3 new=$4 seat=$5 ref=$6 keys=$7
[ ! -e "$class/failed/$seat" ] || exit 0
cd "$new/$seat"
trap '[ $? -eq 0 ] || echo "its repository could not be filled" >"$class/failed/$seat"' EXIT
export GIT_DIR="$git/repositories/$seat/lab.git"
begun=$(git rev-parse --verify --quiet "refs/lab/start:$canary" || true)
if [ -n "$begun" ]; then
    # The repository is the learner's and stays; only the hash of its canary was lost.
    value=$(git cat-file blob "$begun" | env -i PATH="$PATH" HOME=/nonexistent \\
        SOPS_AGE_KEY_FILE="$keys/$seat.agekey" sops decrypt --input-type yaml \\
        --extract '["stringData"]["value"]' /dev/stdin)
else
    value=$(head -c 24 /dev/urandom | base64)
fi
hash=$(printf %s "$value" | sha256sum)
(umask 077; echo "${hash%% *}" >"$class/seats/$seat/canary.new")
mv "$class/seats/$seat/canary.new" "$class/seats/$seat/canary"
[ -z "$begun" ] || exit 0
{
    cat beginning
    printf 'M 100644 inline %s\\ndata <<END OF THE CANARY\\n' "$canary"
    echo "$value" | new_canary "$canary" "$seat-develop"
    printf 'END OF THE CANARY\\ndone\\n'
} | git -c fastimport.unpackLimit=1 fast-import --quiet --force --done --date-format=now
printf '%s\\n' "create refs/lab/start $ref" "create refs/heads/main $ref" "delete $ref" \\
    | git update-ref --stdin
"""
)

_CLONE = """
url=$1 work=$2 name=$3 email=$4 authority=${6:-}
git_login "$5"
umask 022
if [ ! -d "$work/.git" ]; then
    new=$(mktemp -d "$(dirname "$work")/.new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    timeout 60 git clone --quiet "$url.git" "$new"
    git -C "$new" config user.name "$name"
    git -C "$new" config user.email "$email"
    git -C "$new" config credential.helper "store --file='$5'"
    git -C "$new" config http.proxy ''
    [ -z "$authority" ] || git -C "$new" config http.sslCAInfo "$authority"
    chmod 755 "$new"
    mv -T "$new" "$work"
fi
mkdir -p "$work/.git/hooks"
cat >"$work/.git/hooks/pre-commit.new"
chmod 755 "$work/.git/hooks/pre-commit.new"
mv "$work/.git/hooks/pre-commit.new" "$work/.git/hooks/pre-commit"
"""

# Passwords stay: only the address in front of and behind them is another one.
_MOVE_LOGINS = """
umask 077
cd "$1/credentials"
scheme=$2 server=$3
shift 3
for user; do
    file=$user/git-credentials
    sed "1s,^[a-z]*://\\(.*\\)@[^@]*\\$,$scheme://\\1@$server," "$file" >".new.$user"
    mv ".new.$user" "$file"
done
"""

_MOVE_COPY = """
git -C "$1" config remote.origin.url "$2.git"
if [ -n "$3" ]; then
    git -C "$1" config http.sslCAInfo "$3"
else
    git -C "$1" config --unset-all http.sslCAInfo || true
fi
"""

# The password is 256 random bits, which no cost would protect better; the server checks it at every
# request, a hundred clones of a class included.
_BCRYPT_COST = 5


def _account(settings: Settings, user: str, username: str, password: str) -> str:
    scheme, _, rest = settings.git_base_url.partition("://")
    server = rest.split("/", 1)[0]
    credential = f"{scheme}://{quote(username, safe='')}:{quote(password, safe='')}@{server}"
    hashed = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(rounds=_BCRYPT_COST)).decode()
    return "\t".join([user, username, password, credential, hashed])


def new_accounts(settings: Settings, users: Sequence[str]) -> str:
    """Return the input of `WRITE_ACCOUNTS`: each of the users with a password that nobody had."""
    return "\n".join(_account(settings, user, user, secrets.token_urlsafe(32)) for user in users)


@operation()
def users(settings: Settings, users: Sequence[str]) -> Commands:
    """
    Give users of the embedded Git server a password of their own, made once.

    + settings: the lab's settings
    + users: their names
    """
    known = host.get_fact(GitUsers, settings=settings)
    missing = [user for user in users if user not in known]
    moved = [user for user in host.get_fact(MovedLogins, settings=settings) if user in known]
    if not missing and not moved:
        host.noop("every user has a password")
        return
    if moved:
        note(f"the Git server is at {settings.git_base_url} now")
        address = settings.git_base_url.split("://", 1)
        yield script(_MOVE_LOGINS, settings.git_dir, *address, *moved)
    if not missing:
        return
    note(f"passwords for {named(missing)}")
    yield script(WRITE_ACCOUNTS, settings.git_dir, stdin=new_accounts(settings, missing))


@operation()
def account(settings: Settings, user: str, username: str, password: str) -> Commands:
    """
    Store with what account `user` logs in to a Git server that is not ours.

    + settings: the lab's settings
    + user: who of the lab: `instructor`, `flux` or the learner
    + username: the account on that server
    + password: its password or token
    """
    given = hashlib.sha256(f"{username}\n{password}".encode()).hexdigest()
    if host.get_fact(AccountDigest, settings=settings, user=user) == given:
        host.noop(f"the account of {user} is stored")
        return
    yield script(
        WRITE_ACCOUNTS, settings.git_dir, stdin=_account(settings, user, username, password)
    )


@operation()
def repositories(settings: Settings, repositories: Sequence[str]) -> Commands:
    """
    Have bare repositories among the embedded Git server's data.

    + settings: the lab's settings
    + repositories: their paths, without `.git`
    """
    present = host.get_fact(BareRepositories, settings=settings, repositories=list(repositories))
    missing = [repository for repository in repositories if repository not in present]
    if not missing:
        host.noop("every repository is there")
        return
    yield script(
        """
        cd "$1"
        shift
        # The server writes there, and so does git on the host.
        umask 007
        new=$(mktemp -d .new.XXXXXX)
        trap 'rm -rf "$new"' EXIT
        git -c init.defaultBranch=main init --quiet --bare --shared=group --template= "$new/empty"
        # What is shared takes no push by force, says git; it is the learner's own.
        git config --file "$new/empty/config" --unset receive.denyNonFastforwards
        folders=$(cd "$new/empty" && find . -mindepth 1 -type d)
        config=$(cat "$new/empty/config") head=$(cat "$new/empty/HEAD")
        # One process for all folders of all repositories: a class has hundreds.
        for repository; do
            [ ! -e "repositories/$repository.git" ] || rm -rf "repositories/$repository.git"
            for folder in $folders; do echo "repositories/$repository.git/$folder"; done
        done | xargs mkdir -p
        # What has no HEAD is no repository yet.
        for repository; do
            echo "$config" >"repositories/$repository.git/config"
            echo "$head" >"repositories/$repository.git/HEAD"
            case $repository in */*) chmod g-w "repositories/${repository%/*}" ;; esac
        done
        """,
        settings.git_dir,
        *missing,
    )


@operation()
def server(settings: Settings, image: str, configuration: Tree) -> Commands:
    """
    Have the embedded Git server running, on the lab's network and on one address of this machine.

    + settings: the lab's settings
    + image: the image of the server
    + configuration: what it is started with; a change of it starts it anew
    """
    machine = host.get_fact(Machine, root=settings.root, commands=[])
    container = git_server_name(settings.lab)
    publish = f"{settings.git_bind}:{settings.git_port}:{GIT_SERVER_PORT}"
    files = {path: hashlib.sha256(file.content).hexdigest() for path, file in configuration.items()}
    way = hashlib.sha256(SERVE.encode()).hexdigest()
    wanted = [image, publish, files, machine.uid, settings.git_dir, way]
    if settings.networked:
        # It reads its certificate when it starts.
        wanted.append(host.get_fact(Tls, settings=settings).certificate)
    mark = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    found = host.get_fact(Container, target=container)
    if found and network_name(settings.lab) not in found["NetworkSettings"]["Networks"]:
        yield refusal(
            f"there is a container {container} that this lab did not make; it is left alone:"
            " choose another name for the lab (SOPSLAB_LAB)"
        )
        return
    if found and found["State"]["Running"] and found["Config"]["Labels"].get(CONFIG_LABEL) == mark:
        host.noop(f"the Git server {container} runs")
        return
    if found and not found["State"]["Running"]:
        note("the Git server was stopped")
    yield script(
        SERVE,
        container,
        network_name(settings.lab),
        image,
        settings.git_dir,
        publish,
        f"{CONFIG_LABEL}={mark}",
        str(GIT_SERVER_USER),
        *_authority(settings),
    )


def _authority(settings: Settings) -> list[str]:
    return [] if settings.git_authority is None else [settings.git_authority]


@operation()
def seed(
    settings: Settings, repository: str, template: str, variables: dict[str, object], canary: str
) -> Commands:
    """
    Fill a learner's repository once. What is there already, is the learner's and stays.

    + settings: the lab's settings
    + repository: its path on the Git server, without `.git`
    + template: the folder of templates on this side
    + variables: what the templates use, besides the recipients that this operation reads
    + canary: where in it the canary, an encrypted Secret of a random value, goes
    """
    if host.get_fact(RemoteHead, settings=settings, repository=repository) is not None:
        host.noop("the repository has content, and it is the learner's")
        return
    recipients = {
        "learner": host.get_fact(Identity, settings=settings, key=settings.learner.id).recipient,
        "instructor": host.get_fact(Identity, settings=settings, key=INSTRUCTOR).recipient,
    }
    yield lab_script(
        settings,
        GIT_LOGIN + _SEED,
        f"{settings.git_base_url}/{repository}",
        settings.learner.name,
        settings.learner.email,
        canary,
        str(variables["namespace"]),
        settings.lab_dir,
        credentials_file(settings, INSTRUCTOR),
        *([] if settings.git_url else [f"{settings.git_dir}/repositories/{repository}.git"]),
        stdin=pack(
            render_tree(
                Path(template), {**variables, "recipients": recipients, "causes": for_bash()}
            )
        ),
    )


@operation()
def seeds(settings: Settings, template: str, variables: Mapping[str, dict[str, Any]]) -> Commands:
    """
    Fill the repositories of the seats once, all of them together.

    + settings: the lab's settings
    + template: the folder of templates on this side
    + variables: each seat, and what the templates use for it besides the recipients
    """
    begun = host.get_fact(BegunSeats, settings=settings, seats=list(variables))
    missing = [seat for seat in variables if seat not in begun]
    if not missing:
        host.noop("every seat's repository has content, and it is the learner's")
        return
    states = host.get_fact(Identities, settings=settings, keys=[INSTRUCTOR, *missing])
    instructor = states[INSTRUCTOR].recipient if states else None
    files: dict[str, RenderedFile] = {}
    ready = [seat for seat in missing if states and states[seat].recipient is not None]
    renderer = Renderer(Path(template))
    causes = for_bash()
    for seat in ready:
        recipients = {"learner": states[seat].recipient, "instructor": instructor}
        given = variables[seat]
        rendered = renderer.render({**given, "recipients": recipients, "causes": causes})
        learner = given["learner"]
        commit = beginning(rendered, _NEW, learner["name"], learner["email"], "Begin the lab")
        files[f"{seat}/beginning"] = RenderedFile(commit, executable=False)
        files[f"{seat}/{CREATION_RULES}"] = rendered[CREATION_RULES]
    yield lab_script(
        settings,
        _SEEDS,
        settings.git_dir,
        settings.class_dir,
        CANARY_PATH,
        _NEW,
        _SEED_SEAT,
        settings.keys_dir,
        *ready,
        stdin=pack(files),
    )


@operation()
def clone(settings: Settings, repository: str, hook: str) -> Commands:
    """
    Have a clone for the learner, with the commit hook installed.

    + settings: the lab's settings
    + repository: its path on the Git server, without `.git`
    + hook: the text of the pre-commit hook
    """
    missing = host.get_fact(Clone, path=settings.work_dir)
    origin = host.get_fact(CloneOrigin, path=settings.work_dir)
    url = f"{settings.git_base_url}/{repository}"
    moved = origin is not None and _moved(settings, origin, repository)
    if not missing and not moved:
        host.noop(f"{settings.work_dir} is complete")
        return
    if moved:
        note(f"its origin is {url}.git now")
        yield script(_MOVE_COPY, settings.work_dir, url, settings.git_authority or "")
    if not missing:
        return
    note(f"missing: {', '.join(missing)}")
    yield lab_script(
        settings,
        GIT_LOGIN + _CLONE,
        url,
        settings.work_dir,
        settings.learner.name,
        settings.learner.email,
        credentials_file(settings, settings.learner.id),
        *_authority(settings),
        stdin=hook,
    )


def _moved(settings: Settings, origin: Origin, repository: str) -> bool:
    # An origin that is not an address of ours is one that the learner chose.
    ours = rf"https?://[0-9.]+:[0-9]+/{re.escape(repository)}\.git"
    if settings.git_url is not None or not re.fullmatch(ours, origin.url):
        return False
    wanted = Origin(f"{settings.git_base_url}/{repository}.git", settings.git_authority or "")
    return origin != wanted
