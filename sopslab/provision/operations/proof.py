"""Operations that have what is new where it belongs, and prove that what leaked opens nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence

from pyinfra import host
from pyinfra.api import operation

from sopslab.checks.causes import TELLING
from sopslab.config.environment import Environment, bare_repository
from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.incidents.rotation.encrypted import splice
from sopslab.incidents.rotation.plan import faults
from sopslab.provision.command import Commands, lab_script
from sopslab.provision.facts.age import Identities, IdentityState
from sopslab.provision.facts.reset import subjects
from sopslab.provision.facts.rotation import (
    LIVE_VALUES,
    SETTLING,
    Archived,
    Consumers,
    Delivered,
    LiveValues,
    PastVersions,
    Remembered,
    Settling,
    live_arguments,
)
from sopslab.provision.operations.reset import REQUEST
from sopslab.provision.operations.rotating import Outcome, line, outcomes_of, unfinished
from sopslab.provision.operations.seats import failing

_DELIVER = (
    """
class=$1
shift
"""
    + LIVE_VALUES
    + """
deadline=$(($(seconds) + 30))
while :; do
    open=$(live_values "$@" | grep "$(printf '\\tdiffers$')" || true)
    [ -n "$open" ] && [ "$(seconds)" -lt "$deadline" ] || break
    sleep 0.5
done
[ -z "$open" ] || mkdir -p "$class/failed"
printf '%s\\n' "$open" | while IFS='\t' read -r id path _; do
    [ -z "$id" ] || printf 'the cluster has another value than %s\\n' "$path" >"$class/failed/$id"
done
"""
)


# Triples of a learner, a namespace and a workload.
_RESTART = (
    TELLING
    + """
class=$1 incident=$2
shift 2
patch=$(jq --null-input --compact-output --arg incident "$incident" \\
    '{spec: {template: {metadata: {annotations: {"sops-lab/incident": $incident}}}}}')
while [ $# -gt 0 ]; do
    if ! said=$(timeout 60 kubectl --context "$LAB_CONTEXT" --namespace "$2" patch "$3" \\
            --field-manager sops-lab --type merge --patch "$patch" 2>&1); then
        mkdir -p "$class/failed"
        said=$(printf '%s' "$said" | refused)
        printf '%s could not be restarted: %s\\n' "$3" "$said" >"$class/failed/$1"
    fi
    shift 3
done
"""
)


# Lines of a learner, what is tried, an identity, the exit code of sops that is right, and a file.
# sops ends with 128 where no key opens the data key, and with 25 where that opens no value.
_PROVE = """
class=$1
mkdir -p "$class/failed"
while IFS='\t' read -r id what identity right content; do
    [ -n "$id" ] || continue
    status=0
    printf '%s' "$content" | base64 -d | env -i PATH="$PATH" HOME=/nonexistent \\
        SOPS_AGE_KEY_FILE="$identity" sops decrypt --input-type yaml --output-type yaml \\
        /dev/stdin >/dev/null 2>&1 || status=$?
    [ "$status" -eq "$right" ] \\
        || printf '%s: sops ended with %s instead of %s\\n' "$what" "$status" "$right" \\
            >"$class/failed/$id"
done
"""


# Exit codes of sops (getsops/sops, cmd/sops/codes/codes.go).
_NO_KEY, _NO_VALUE = 128, 25


@operation()
def settled(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Have Flux done with what it was told last, so that what it is told next finds it ready. Whoever
    is not ready after that is named by what comes next.

    + settings: the lab's settings
    + environments: whose
    """
    rotation = host.get_fact(Remembered, settings=settings)
    concerned = unfinished(settings, rotation, environments)
    if not concerned or not host.get_fact(Settling, settings=settings, environments=concerned):
        host.noop("Flux is done with what it was told")
        return
    yield lab_script(
        settings,
        SETTLING
        + """
        deadline=$(($(seconds) + 20))
        while [ -n "$(settling)" ] && [ "$(seconds)" -lt "$deadline" ]; do sleep 0.2; done
        """,
        subjects(concerned),
    )


@operation()
def delivered(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Have the cluster hold what the re-encrypted files say, compared by what they hold.

    + settings: the lab's settings
    + environments: whose
    """
    rotation = host.get_fact(Remembered, settings=settings)
    files = [
        (one.environment, Delivered(path, found.secret), one.change.holder)
        for one in outcomes_of(settings, rotation, environments)
        for path, found in one.rotated()
        if found.secret
    ]
    if not files:
        host.noop("nothing was re-encrypted")
        return
    # What the instructor's successor has to open, the environment's own identity opens, too.
    arguments = live_arguments(
        settings, [(one, file) for one, file, _ in files], [holder for _, _, holder in files]
    )
    states = host.get_fact(LiveValues, settings=settings, arguments=list(arguments))
    closed = {
        one.id: f"{file.path} cannot be opened by the new key"
        for one, file, _ in files
        if (one.id, file.path) not in states
    }
    if not closed and "differs" not in states.values():
        host.noop("the cluster has the new values")
        return
    yield from failing(settings, closed)
    yield lab_script(settings, _DELIVER, settings.class_dir, *arguments)


@operation()
def restarted(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Have no workload left that has read an old value into its environment at its start.

    + settings: the lab's settings
    + environments: whose
    """
    rotation = host.get_fact(Remembered, settings=settings)
    outcomes = outcomes_of(settings, rotation, environments)
    changed = {one.environment.id: [found.secret for _, found in one.rotated()] for one in outcomes}
    changed = {learner: names for learner, names in changed.items() if names}
    if not changed:
        host.noop("no value has changed")
        return
    concerned = [one.environment for one in outcomes]
    found = host.get_fact(Consumers, settings=settings, environments=concerned, secrets=changed)
    if not found:
        host.noop("nothing has read an old value at its start")
        return
    for learner, workloads in found.items():
        note(f"{learner}: {', '.join(workloads)}")
    yield lab_script(
        settings,
        _RESTART,
        settings.class_dir,
        settings.incident or "",
        *(
            part
            for one in concerned
            for workload in found.get(one.id, [])
            for part in (one.id, one.namespace, workload)
        ),
    )


@operation()
def asked(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Have Flux decrypt once more, with what it has now.

    + settings: the lab's settings
    + environments: whose
    """
    rotation = host.get_fact(Remembered, settings=settings)
    concerned = unfinished(settings, rotation, environments)
    if not concerned:
        host.noop("nothing is left to be proven")
        return
    yield lab_script(
        settings,
        "class=$1 subjects=$2\n"
        + REQUEST
        + """
        new=$(mktemp -d "$(dirname "$class")/.new.XXXXXX")
        trap 'rm -rf "$new"' EXIT
        printf '%s' "$subjects" | jq --raw-output '.[] | "\\(.id)\\town"' | request
        """,
        settings.class_dir,
        subjects(concerned),
    )


@operation()
def proven(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Prove that what leaked opens nothing at any main: neither as it is, nor with a data key of an
    older version put into the present one.

    + settings: the lab's settings
    + environments: whose
    """
    rotation = host.get_fact(Remembered, settings=settings)
    # As long as somebody else needs an identity that leaked, it is too early for a proof.
    outcomes = [one for one in outcomes_of(settings, rotation, environments) if one.change.gone]
    if rotation is None or not outcomes:
        host.noop("nothing can be proven now")
        return
    archived = host.get_fact(Archived, settings=settings) if rotation.retiring else {}
    states = host.get_fact(
        Identities, settings=settings, keys=[one.environment.key for one in outcomes]
    )
    past = _past(settings, outcomes)
    problems: dict[str, str] = {}
    attempts: list[str] = []
    for one in outcomes:
        learner = one.environment.id
        key = one.environment.key
        found = faults(one.after, old=one.change.old, new=one.change.new)
        leaked = one.change.old or states.get(key, IdentityState()).recipient
        identity = (
            archived.get(one.change.old)
            if one.change.old is not None
            else f"{settings.keys_dir}/{key}.agekey"
        )
        if found:
            problems[learner] = found[0]
        elif leaked is None or identity is None:
            problems[learner] = "the identity that leaked is not in the archive: nothing is proven"
        else:
            attempts += _attempts(settings, one, past, leaked, identity)
    if not attempts and not problems:
        host.noop("nothing was encrypted, so there is nothing to open")
        return
    yield from failing(settings, problems)
    if attempts:
        note(f"{len(attempts)} attempts to open what must stay closed")
        yield lab_script(
            settings,
            _PROVE,
            settings.class_dir,
            stdin="".join(f"{attempt}\n" for attempt in attempts),
        )


def _past(settings: Settings, outcomes: Sequence[Outcome]) -> dict[tuple[str, str], list[str]]:
    files = [
        (bare_repository(settings, one.environment), one.before.commit, path)
        for one in outcomes
        for path, _ in one.rotated()
    ]
    if not files:
        return {}
    found: dict[tuple[str, str], list[str]] = host.get_fact(
        PastVersions, settings=settings, files=files
    )
    return found


def _attempts(
    settings: Settings,
    outcome: Outcome,
    past: Mapping[tuple[str, str], list[str]],
    leaked: str,
    identity: str,
) -> Iterator[str]:
    """Yield what is tried on one environment, as `_PROVE` reads it."""
    learner = outcome.environment.id
    bare = bare_repository(settings, outcome.environment)

    def attempt(what: str, right: int, text: str) -> str:
        encoded = base64.b64encode(text.encode()).decode()
        return line(learner, what, identity, str(right), encoded)

    if outcome.change.old is not None:
        for path, _ in outcome.after.encrypted():
            text = outcome.after.texts[outcome.after.files[path]]
            yield attempt(f"the old key on {path}", _NO_KEY, text)
    for path, found in outcome.rotated():
        if not found.leaves:
            continue
        text = outcome.after.texts[outcome.after.files[path]]
        spliced = {splice(text, before, leaked) for before in past.get((bare, path), [])}
        for number, attack in enumerate(sorted(one for one in spliced if one is not None), 1):
            yield attempt(f"an old data key put into {path}, version {number}", _NO_VALUE, attack)
