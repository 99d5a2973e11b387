"""Operations that re-encrypt the files of repositories, and bring the clone after them."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.incidents.rotation.encrypted import Leaf
from sopslab.incidents.rotation.phases import replaces_keys, touches_files
from sopslab.incidents.rotation.plan import (
    TRAILER,
    FilePlan,
    Version,
    VersionPlan,
    asks_elsewhere,
    is_noted,
    plan_version,
    remains,
    unknown_values,
    value_name,
)
from sopslab.incidents.rotation.record import Rotation, begin_rotation
from sopslab.layout import CANARY_PATH
from sopslab.model.repositories import RepositoryState
from sopslab.provision.command import Commands, lab_script
from sopslab.provision.facts.age import Identities, IdentityState
from sopslab.provision.facts.reset import CHECKPOINTS, repository_arguments
from sopslab.provision.facts.rotation import CopyBehind, Remembered
from sopslab.provision.operations.git import COMMIT_AS
from sopslab.provision.operations.rotating import (
    Change,
    change_of,
    identities,
    key_of,
    keys_of,
    line,
    remember,
    repositories,
    state_of,
    unfinished,
    versions_of,
)
from sopslab.provision.operations.seats import ATTEMPT, failing

# The work comes on standard input, a step a line, for one repository after the other; the values
# are in it, and exist in this shell and in pipes only. Files are changed as copies, which hold
# nothing but ciphertext, and become objects of the repository; the branch changes last.
_REENCRYPT = (
    CHECKPOINTS
    + ATTEMPT
    + COMMIT_AS
    + """
class=$5 incident=$6 trailer=$7
new=$(mktemp -d "$(dirname "$class")/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
commit_as sops-lab sops-lab@localhost
export GIT_INDEX_FILE="$new/index"
tab=$(printf '\\t')
keep() { git -c core.fsync=all --git-dir "$repository" "$@"; }
fail() { say "$1"; return 1; }
# By a rule of ours: what a learner's says may have sops ask services elsewhere.
own_sops() {
    identity=$1
    shift
    env -i PATH="$PATH" HOME=/nonexistent SOPS_AGE_KEY_FILE="$identity" \\
        timeout 30 sops --config "$new/config" "$@"
}
ask_sops() {
    own_sops "$@" >"$new/said" 2>&1 || fail "$path: sops $2 failed: $(told "$new/said")"
}
begin() {
    rm -rf "$new/blobs" "$new/updates"
    mkdir "$new/blobs"
}
version() {
    rm -rf "$new/tree" "$new/index"
    mkdir "$new/tree"
    bare read-tree "$1"
}
stage() {
    mode=$(bare ls-tree "$version" -- "$1" | cut -c 1-6)
    bare update-index --add --cacheinfo "$mode,$2,$1"
}
rules() {
    bare show "$version:.sops.yaml" | sed "s/$old/$recipient/g" >"$new/rules"
    stage .sops.yaml "$(keep hash-object -w --stdin <"$new/rules")"
}
unseal() {
    mkdir -p "$(dirname "$new/tree/$path")"
    bare cat-file blob "$1" >"$new/tree/$path"
    cd "$new/tree"
    printf '{"creation_rules": [{"age": "%s"}]}\\n' "$2" >"$new/config"
    [ "$old" = - ] || ask_sops "$opener" updatekeys --yes "$path"
    ask_sops "$opener" rotate --in-place "$path"
}
put_value() {
    printf '%s' "$2" \\
        | own_sops "$opener" set --value-stdin "$new/tree/$path" "$1" >/dev/null 2>&1 \\
        || fail "$path: a value could not be replaced"
}
opens() { own_sops "$1" decrypt "$new/tree/$path" >/dev/null 2>&1; }
seal() {
    opens "$opener" || fail "$path: what became of it cannot be opened by $(basename "$opener")"
    opens "$proof" || fail "$path: the new key does not open what became of it"
    [ "$old" = - ] || ! grep -qF -e "$old" "$new/tree/$path" \\
        || fail "$path: .sops.yaml still names the old key for it"
    keep hash-object -w --stdin <"$new/tree/$path" >"$new/blobs/$1"
    stage "$path" "$(cat "$new/blobs/$1")"
}
# Of a learner who has done nothing yet.
same() {
    cp "$new/blobs/start" "$new/blobs/main"
    cp "$new/blobs/start.from" "$new/blobs/main.from"
}
again() { stage "$path" "$(cat "$new/blobs/$1")"; }
commit() {
    keep commit-tree -p "$version" -m "Replace what leaked" -m "$trailer: $incident" \\
        "$(keep write-tree)" >"$new/blobs/$1"
    echo "$version" >"$new/blobs/$1.from"
}
# No transaction of Git takes seconds: a lock that does not go was left by one that was killed.
unlock() {
    for name in refs/heads/main refs/lab/start packed-refs; do
        patience=25
        while [ -e "$repository/$name.lock" ] && [ $patience -gt 0 ]; do
            patience=$((patience - 1))
            sleep 0.2
        done
        rm -f "$repository/$name.lock"
    done
}
# All of it or nothing. If somebody has pushed meanwhile, their commit is not passed over: it is
# looked at, and built upon, by the next look.
publish() {
    main=$(at refs/heads/main)
    if [ -s "$new/blobs/main" ]; then
        [ "$main" = "$(cat "$new/blobs/main.from")" ] || return 0
        made=$(cat "$new/blobs/main")
        [ -z "$url" ] || timeout 60 git --git-dir "$repository" push --quiet \\
            --force-with-lease="refs/heads/main:$main" "$url.git" "$made:refs/heads/main"
        echo "update refs/heads/main $made $main" >"$new/updates"
    fi
    if [ -s "$new/blobs/start" ]; then
        begun=$(at refs/lab/start) || begun=0000000000000000000000000000000000000000
        echo "update refs/lab/start $(cat "$new/blobs/start") $begun" >>"$new/updates"
        # They are made anew on top of it, where they are asked for.
        for checkpoint in encrypted wired 'done'; do
            ! at "refs/lab/$checkpoint" >/dev/null || echo "delete refs/lab/$checkpoint"
        done >>"$new/updates"
    fi
    if [ "$digest" != - ] && [ -e "$class/seats/$id/canary" ]; then
        (umask 077; echo "$digest" >"$class/seats/$id/canary.new")
        mv "$class/seats/$id/canary.new" "$class/seats/$id/canary"
    fi
    [ -s "$new/updates" ] || return 0
    unlock
    keep update-ref --stdin <"$new/updates"
}
try() {
    attempt 'its files could not be re-encrypted' "$@"
    [ $status -eq 0 ] || broken=yes
}
broken='' id='' repository='' opener='' proof='' old='' recipient='' digest='' version='' path=''
while IFS="$tab" read -r word a b c d e f g; do
    if [ "$word" = repository ]; then
        id=$a repository=$b opener=$c proof=$d old=$e recipient=$f digest=$g broken=''
    fi
    [ -z "$broken" ] || continue
    case $word in
    repository) try begin ;;
    version) version=$a; try version "$a" ;;
    rules) try rules ;;
    file) path=$b; try unseal "$c" "$d" ;;
    value) try put_value "$a" "$b" ;;
    sealed) try seal "$a" ;;
    again) path=$b; try again "$a" ;;
    commit) try commit "$a" ;;
    same) try same ;;
    publish) try publish ;;
    esac
done
"""
)


_FOLLOW = """
work=$1 repository=$2
copy() { git -C "$work" -c core.hooksPath=/dev/null -c core.fsmonitor=false "$@"; }
copy fetch --quiet "$repository" '+refs/heads/*:refs/remotes/origin/*'
copy merge --quiet --ff-only refs/remotes/origin/main
"""


_CANARY_VALUE = Leaf("stringData", "value")


@operation()
def reencrypted(
    settings: Settings, environments: Sequence[Environment], given: Mapping[str, str]
) -> Commands:
    """
    Have at main, and at the checkpoint that a reset goes back to, nothing that what leaked opens:
    another recipient where a key leaked, another data key, and other values.

    + settings: the lab's settings
    + environments: whose
    + given: the values that a human gave, by NAME/KEY
    """
    rotation = host.get_fact(Remembered, settings=settings)
    concerned = unfinished(settings, rotation, environments)
    if rotation is None or not concerned or not touches_files(rotation.cause):
        host.noop("nothing is to be re-encrypted")
        return
    found = repositories(settings, concerned)
    states = identities(settings, keys_of(rotation, concerned))
    versions = versions_of(
        settings,
        [
            (one, commit)
            for one in concerned
            for commit in (state_of(found, one).main, state_of(found, one).target)
        ],
    )
    problems: dict[str, str] = {}
    orders: list[str] = []
    after = rotation
    for one in concerned:
        learner = one.id
        state, change = state_of(found, one), change_of(rotation, one, states)
        why = _obstacle(rotation, state, change, learner, versions)
        if why is not None:
            problems[learner] = why
            continue
        plans = {
            commit: plan_version(
                rotation,
                versions[learner, commit],
                old=change.old,
                given=_usable(rotation, learner, versions[learner, commit], given),
            )
            for commit in (state.main, state.target)
            if commit is not None and (learner, commit) in versions
        }
        if all(plan.empty for plan in plans.values()):
            continue
        elsewhere = next(filter(None, map(asks_elsewhere, plans.values())), None)
        if elsewhere is not None:
            problems[learner] = elsewhere
            continue
        order = _Order(settings, one, change, given)
        orders += order.lines(plans, main=state.main, start=state.target)
        after = _told(after, one, plans.get(state.main or ""), versions, change.old, given)
        for name in order.fresh:
            note(f"{learner}: {name} has another value: make the old one invalid where it is used")
    if not orders and not problems:
        host.noop("what leaked opens nothing that is encrypted")
        return
    yield from failing(settings, problems)
    # Before anything changes: what only a human can do must not be forgotten.
    if after != rotation:
        yield from remember(settings, after)
    if orders:
        # The first four arguments of the script are those of the fact.
        yield lab_script(
            settings,
            _REENCRYPT,
            *repository_arguments(settings, concerned, "start", "")[:4],
            settings.class_dir,
            rotation.incident,
            TRAILER,
            stdin="".join(f"{line}\n" for line in orders),
        )


def _obstacle(
    rotation: Rotation,
    state: RepositoryState,
    change: Change,
    learner: str,
    versions: Mapping[tuple[str, str], Version],
) -> str | None:
    """Return why a repository cannot be re-encrypted, None if it can."""
    if state.problem is not None:
        return state.problem
    if state.main is None or (learner, state.main) not in versions:
        return "its repository has no branch main"
    if replaces_keys(rotation.cause) and change.new is None:
        return "the identity that follows is not there"
    main = versions[learner, state.main]
    if main.odd:
        return "an encrypted file has a name with control characters or '..' in it: rename it first"
    unknown = unknown_values(main, rotation.exposed)
    return f"it holds no encrypted {', '.join(unknown)}" if unknown else None


def _usable(
    rotation: Rotation, learner: str, version: Version, given: Mapping[str, str]
) -> list[str]:
    """Return which of the values that a human gives are to be written into a version."""
    awaited = _awaited(rotation, learner)
    return [name for name in given if name in awaited or not is_noted(rotation, version)]


def _awaited(rotation: Rotation, learner: str) -> tuple[str, ...]:
    return rotation.pending.get(learner, ())


def _told(
    rotation: Rotation,
    environment: Environment,
    plan: VersionPlan | None,
    versions: Mapping[tuple[str, str], Version],
    old: str | None,
    given: Mapping[str, str],
) -> Rotation:
    """Return the rotation with what it leaves to a human, and with what stays exposed."""
    learner = environment.id
    if plan is None or plan.empty:
        return rotation
    human = [value_name(file.secret, leaf) for file in plan.files for leaf in file.human]
    kept = [name for name in _awaited(rotation, learner) if name not in given]
    before = versions[learner, plan.commit]
    sentences = remains(environment.repository, before, [file.path for file in plan.files], old)
    return replace(
        rotation,
        pending={**rotation.pending, learner: tuple(dict.fromkeys([*kept, *human]))},
        remains={
            **rotation.remains,
            learner: tuple(dict.fromkeys([*rotation.remains.get(learner, ()), *sentences])),
        },
    )


class _Order:
    """The work on one repository, as `_REENCRYPT` reads it. Values are in it: it is never shown."""

    def __init__(
        self,
        settings: Settings,
        environment: Environment,
        change: Change,
        given: Mapping[str, str],
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._change = change
        self._given = given
        self._sealed: dict[tuple[str, str], int] = {}
        self._digest = "-"
        self.fresh: list[str] = []

    def lines(
        self, plans: Mapping[str, VersionPlan], *, main: str | None, start: str | None
    ) -> list[str]:
        """Return the lines for the plans of main and of the start, by their commits."""
        steps: list[str] = []
        for name, commit in (("start", start), ("main", main)):
            plan = plans.get(commit or "")
            if plan is not None and not plan.empty:
                steps += self._version(plan, begun=name == "start")
                steps += [line("commit", name)]
            if start == main:
                # A learner who has done nothing yet is at the start.
                steps += ["same"]
                break
        keys = self._settings.keys_dir
        head = line(
            "repository",
            self._environment.id,
            bare_repository(self._settings, self._environment),
            f"{keys}/{self._change.opener}.agekey",
            f"{keys}/{self._change.holder}.agekey",
            self._change.old or "-",
            self._change.new or "-",
            self._digest,
        )
        return [head, *steps, "publish"]

    def _recipients(self, file: FilePlan) -> list[str]:
        """Return whom a file is to be encrypted to: those that it was, with the successor."""
        old, new = self._change.old, self._change.new
        named = [new or one if one == old else one for one in file.recipients]
        return list(dict.fromkeys(named))

    def _version(self, plan: VersionPlan, *, begun: bool) -> Iterator[str]:
        yield line("version", plan.commit)
        if plan.rules:
            yield "rules"
        for file in plan.files:
            known = self._sealed.get((file.path, file.blob))
            if known is not None:
                yield line("again", str(known), file.path)
                continue
            number = self._sealed[file.path, file.blob] = len(self._sealed)
            wanted = ",".join(self._recipients(file))
            yield line("file", str(number), file.path, file.blob, wanted)
            for leaf, value in self._values(file):
                encoded = base64.b64encode(value.encode()).decode()
                text = encoded if leaf.section == "data" else value
                yield line("value", leaf.index, json.dumps(text))
                if begun and file.path == CANARY_PATH and leaf == _CANARY_VALUE:
                    self._digest = hashlib.sha256(value.encode()).hexdigest()
            yield line("sealed", str(number))

    def _values(self, file: FilePlan) -> Iterator[tuple[Leaf, str]]:
        for leaf in file.fresh:
            self.fresh.append(value_name(file.secret, leaf))
            yield leaf, secrets.token_urlsafe(24)
        for leaf in file.given:
            yield leaf, self._given[value_name(file.secret, leaf)]


@operation()
def clone(settings: Settings, environment: Environment) -> Commands:
    """
    Have the learner's clone follow main, if it has nothing of its own.

    + settings: the lab's settings
    + environment: the learner's
    """
    how = host.get_fact(CopyBehind, settings=settings, environment=environment)
    if how == "apart":
        host.noop(f"{settings.work_dir} has changes of its own: git pull --rebase")
        return
    if how != "behind":
        host.noop("the clone is on main")
        return
    yield lab_script(settings, _FOLLOW, settings.work_dir, bare_repository(settings, environment))


@operation()
def foretold(
    settings: Settings, environments: Sequence[Environment], exposed: Sequence[str]
) -> Commands:
    """
    Say what a rotation would do to each environment, and change nothing.

    + settings: the lab's settings
    + environments: whose
    + exposed: what leaked, as NAME or NAME/KEY, where it was not a key
    """
    rotation = host.get_fact(Remembered, settings=settings) or begin_rotation(
        settings, environments, exposed
    )
    if touches_files(rotation.cause):
        keys = keys_of(rotation, environments)
        states = host.get_fact(Identities, settings=settings, keys=keys) if keys else {}
        found = repositories(settings, environments)
        versions = versions_of(settings, [(one, state_of(found, one).main) for one in environments])
        for one in environments:
            state = state_of(found, one)
            key = key_of(rotation, one)
            old = rotation.retiring.get(key) or states.get(key, IdentityState()).recipient
            for sentence in _foretold(rotation, one, state, versions, old):
                note(f"{one.id}: {sentence}")
    host.noop("nothing is changed by looking")
    yield from ()


def _foretold(
    rotation: Rotation,
    environment: Environment,
    state: RepositoryState,
    versions: Mapping[tuple[str, str], Version],
    old: str | None,
) -> Iterator[str]:
    version = versions.get((environment.id, state.main or ""))
    if state.problem is not None or version is None:
        yield state.problem or "its repository has no branch main"
        return
    for name in unknown_values(version, rotation.exposed):
        yield f"it holds no encrypted {name}"
    goes = old if replaces_keys(rotation.cause) else None
    plan = plan_version(rotation, version, old=goes, given=())
    if plan.rules:
        yield ".sops.yaml names another recipient"
    for file in plan.files:
        values = [leaf.key for leaf in (*file.fresh, *file.given)]
        yield f"{file.path}: another data key" + (
            f", other values for {', '.join(values)}" if values else ""
        )
        for leaf in file.human:
            yield f"{file.path}: a human has to give another value for {leaf.key}"
