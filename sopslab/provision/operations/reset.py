"""Operations that put environments back to a checkpoint, from whatever state they are in. Each
works on all of them, and one that fails says so in a file of its own while the others go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pyinfra import host
from pyinfra.api import FactBase, operation

from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.course.chapter import SECRET
from sopslab.files.events import note
from sopslab.incidents.leak import kept_dir
from sopslab.lab.act import checkpoints
from sopslab.model.repositories import CloneState, RepositoryState
from sopslab.provision.command import Commands, acting, lab_script, refusal, script
from sopslab.provision.facts.drill import Drills
from sopslab.provision.facts.reset import (
    DELIVERIES,
    CloneAtCheckpoint,
    Deliveries,
    EnvironmentState,
    EnvironmentStates,
    Repositories,
    delivery_arguments,
    subjects,
)
from sopslab.provision.facts.seats import SeatCanaries, SeatFailures
from sopslab.provision.operations.clearing import CLEARING
from sopslab.provision.operations.flux import ASK_FLUX
from sopslab.provision.operations.seats import failing

State = TypeVar("State")

_UNSEEN = RepositoryState(problem="its repository could not be looked at")

# Asks Flux to look again, now, at the objects that the lines of its input name: a learner's id, and
# which of tenant, source, own and receiver.
REQUEST = (
    ASK_FLUX
    + """
request() {
    jq --raw-input --slurp --compact-output --argjson subjects "$subjects" '
        "kustomize.toolkit.fluxcd.io/v1" as $kustomize
        | [split("\\n")[] | split("\\t") | select(length == 2) | .[0] as $id
            | (.[1] | split(" ")[]) as $what
            | $subjects[] | select(.id == $id)
            | {tenant: (if .tenant == "flux-system" then null
                    else [$kustomize, "Kustomization", "flux-system", .tenant] end),
                source: ["source.toolkit.fluxcd.io/v1", "GitRepository", .system, .source],
                own: [$kustomize, "Kustomization", .system, .kustomization],
                receiver: ["notification.toolkit.fluxcd.io/v1", "Receiver", .system, "lab"]}
            | .[$what] | select(. != null)
            | {apiVersion: .[0], kind: .[1], metadata: {namespace: .[2], name: .[3]}}]
        | select(. != []) | {apiVersion: "v1", kind: "List", items: .}' >"$new/asked"
    [ ! -s "$new/asked" ] || ask_flux 60 --filename "$new/asked"
}
"""
)

_CLEAR = (
    CLEARING
    + REQUEST
    + """
class=$2
new=$(mktemp -d "$(dirname "$class")/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
kinds=$(kinds)
findings "$kinds" >"$new/found"
deadline=$(($(seconds) + 40))
while :; do
    grep -qE '^[^\t]*\t(stray|going|suspended)\t' "$new/found" || break
    [ "$(seconds)" -lt "$deadline" ] || break
    clear_away "$new/found"
    sleep 0.3
    findings "$kinds" >"$new/found"
done
awk -F '\\t' '$2 ~ /^(stray|going|suspended)$/ && !told[$1]++' "$new/found" \\
    | while IFS='\t' read -r id kind what; do
        if [ "$kind" = going ]; then
            what="the namespace $what is still being deleted"
        else
            what="$(printf '%s' "$what" | jq -r '"\\(.kind)/\\(.metadata.name)"') would not go"
        fi
        mkdir -p "$class/failed"
        printf 'its namespace could not be cleared: %s\\n' "$what" >"$class/failed/$id"
    done
# What is missing now, Flux is to see at once. If it was at work when a namespace went, it waits a
# minute for that to be there again: an empty one will do.
jq --raw-input --compact-output --slurp --argjson subjects "$subjects" '
    ([$subjects[] | select(.tenant != "flux-system") | .id]) as $seats
    | [split("\\n")[] | split("\\t") | select(.[1] == "absent")
        | select(.[0] as $id | $seats | index([$id]))
        | {apiVersion: "v1", kind: "Namespace",
            metadata: {name: .[2], labels: {"sops-lab/seat": .[0]}}}]
    | select(. != []) | {apiVersion: "v1", kind: "List", items: .}' "$new/found" >"$new/absent"
[ ! -s "$new/absent" ] || kube apply --server-side --field-manager sops-lab \\
    --filename "$new/absent" >/dev/null || true
awk -F '\\t' '$2 ~ /^(missing|absent)$/ && !told[$1]++ {
    print $1 "\\ttenant source own receiver" }' "$new/found" | request
"""
)

_RECONCILE = (
    "class=$1; shift\n"
    + DELIVERIES
    + REQUEST
    + """
shift 2
new=$(mktemp -d "$(dirname "$class")/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
wanted=$(heads "$@")
# Whoever seems to have all and is here nevertheless, has not the right Secrets.
deliveries | sed 's/\tarrived\t$/\tarrived\town/' | cut -f 1,3 | request
deadline=$(($(seconds) + 60)) asked=$(seconds) began=$(seconds)
# Looking at many costs what Flux needs.
pause=$(printf '%s' "$subjects" | jq 'if length > 5 then 1 else 0.3 end')
while :; do
    open=$(deliveries | grep -v '\tarrived\t' || true)
    now=$(seconds)
    [ -n "$open" ] && [ "$now" -lt "$deadline" ] || break
    # What failed for a reason that is gone is not left until Flux tries again by itself. What is
    # about to apply what was read would be interrupted by being asked for it, and say so.
    if [ $((now - asked)) -ge 2 ]; then
        asked=$now late=late
        [ $((now - began)) -lt 10 ] || late=own
        printf '%s\\n' "$open" | cut -f 1,3 | sed "s/\\tlate/\\t$late/" | request
    fi
    sleep "$pause"
done
[ -z "$open" ] || mkdir -p "$class/failed"
printf '%s\\n' "$open" | while IFS='\t' read -r id problem _; do
    [ -z "$id" ] || printf '%s\\n' "$problem" >"$class/failed/$id"
done
"""
)


@operation()
def begun(settings: Settings, unknown: Sequence[str]) -> Commands:
    """
    Begin with no failure of an earlier run, and refuse who has no environment.

    + settings: the lab's settings
    + unknown: who was named and has none
    """
    if unknown:
        yield refusal(
            f"there is no environment of {', '.join(unknown)}: `sopslab up` makes those of a roster"
        )
        return
    if not host.get_fact(SeatFailures, settings=settings):
        host.noop("no earlier run left a failure")
        return
    yield script('rm -rf "$1/failed"', settings.class_dir)


@operation()
def repositories(
    settings: Settings, environments: Sequence[Environment], checkpoint: str, saved: str
) -> Commands:
    """
    Have main of every repository at a checkpoint; what is overwritten is kept on a branch.

    + settings: the lab's settings
    + environments: whose
    + checkpoint: `start`, `encrypted`, `wired` or `done`
    + saved: the branch for what the checkpoint does not hold
    """
    states = host.get_fact(
        Repositories,
        settings=settings,
        environments=list(environments),
        checkpoint=checkpoint,
        saved=saved,
    )
    problems = {one.id: states.get(one.id, _UNSEEN).problem for one in environments}
    astray = [one for one in environments if problems[one.id] is None and not states[one.id].there]
    if not astray and not any(problems.values()):
        host.noop(f"every repository is at the checkpoint {checkpoint}")
        return
    for one in astray:
        for sentence in repository_plan(states[one.id], checkpoint):
            note(f"{one.id}: {sentence}")
    yield from failing(settings, {who: why for who, why in problems.items() if why is not None})
    if astray:
        yield acting(
            settings,
            checkpoints.put_back,
            environments=astray,
            checkpoint=checkpoint,
            saved=saved,
        )


def repository_plan(state: RepositoryState, checkpoint: str) -> list[str]:
    """Return in sentences what putting a repository back does to it."""
    if state.problem is not None:
        return [state.problem]
    if state.there:
        return []
    sentences = [f"main goes to the checkpoint {checkpoint}"]
    if state.lost:
        sentences.append(
            f"{_counted(state.lost, 'commit')} of main kept on the branch {state.saved}"
        )
    return sentences


@operation()
def clone(settings: Settings, environment: Environment, checkpoint: str, saved: str) -> Commands:
    """
    Have the learner's clone on main as the repository has it; what was never pushed is kept
    on a branch of the clone.

    + settings: the lab's settings
    + environment: the learner's
    + checkpoint: where main of the repository is
    + saved: the branch for what the repository does not have
    """
    if environment.id in host.get_fact(SeatFailures, settings=settings):
        host.noop("the repository was not put back")
        return
    state = host.get_fact(
        CloneAtCheckpoint,
        settings=settings,
        environment=environment,
        checkpoint=checkpoint,
        saved=saved,
    )
    if state is None or state.there:
        host.noop("the clone is on main")
        return
    for sentence in clone_plan(settings, state):
        note(f"{environment.id}: {sentence}")
    yield acting(settings, checkpoints.put_clone_back, environment=environment, saved=saved)


def clone_plan(settings: Settings, state: CloneState) -> list[str]:
    """Return in sentences what putting the clone back does to it."""
    if state.there:
        return []
    kept = []
    if state.unpushed:
        kept.append(_counted(state.unpushed, "commit") + " not pushed")
    if state.uncommitted:
        kept.append(_counted(state.uncommitted, "file") + " not committed")
    sentences = [f"{settings.work_dir} goes to main"]
    if kept:
        sentences.append(
            f"{' and '.join(kept)}, kept on the branch {state.saved} of {settings.work_dir}"
        )
    return sentences


@operation()
def cleared(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Have nothing in the namespaces of environments but what Flux applied, nothing suspended, and no
    namespace that cannot come to its end.

    + settings: the lab's settings
    + environments: whose
    """
    left = standing(settings, environments)
    states = _asked(EnvironmentStates, settings, left)
    problems = {
        one.id: problem
        for one in left
        if (problem := _hopeless(one, states.get(one.id))) is not None
    }
    plans = {one.id: environment_plan(states[one.id]) for one in left if one.id not in problems}
    astray = [one for one in left if plans.get(one.id)]
    if not astray and not problems:
        host.noop("the namespaces hold what Flux applied, and nothing else")
        return
    for learner, sentences in plans.items():
        for sentence in sentences:
            note(f"{learner}: {sentence}")
    yield from failing(settings, problems)
    if astray:
        yield lab_script(settings, _CLEAR, subjects(astray), settings.class_dir)


def _asked(
    fact: type[FactBase[dict[str, State]]],
    settings: Settings,
    environments: list[Environment],
    **more: str,
) -> dict[str, State]:
    if not environments:
        return {}
    found: dict[str, State] = host.get_fact(
        fact, settings=settings, environments=environments, **more
    )
    return found


def standing(settings: Settings, environments: Sequence[Environment]) -> list[Environment]:
    """Return the environments of which nothing has failed in this run."""
    failures = host.get_fact(SeatFailures, settings=settings)
    return [one for one in environments if one.id not in failures]


def _hopeless(environment: Environment, state: EnvironmentState | None) -> str | None:
    if state is None:
        return "the cluster does not answer: `sopslab status` tells more"
    # Without a class, what makes the environment is applied by a reset itself.
    if state.untended and environment.is_seat:
        return f"Flux has no Kustomization {environment.tenant}: `sopslab up` brings it back"
    return None


def environment_plan(state: EnvironmentState) -> list[str]:
    """Return in sentences what clearing a namespace does to it."""
    sentences = [
        f"the namespace {name}, which is being deleted, is made anew" for name in state.going
    ]
    sentences += [f"the namespace {name}, which is gone, is made anew" for name in state.absent]
    if state.strays:
        sentences.append(f"deleted: {_listed(state.strays)}")
    if state.missing and not state.going and not state.absent:
        sentences.append(f"made anew: {_listed(state.missing)}")
    if state.suspended:
        sentences.append(f"resumed: {_listed(state.suspended)}")
    return sentences


def _listed(things: Sequence[str]) -> str:
    shown = ", ".join(things[:10])
    return shown if len(things) <= 10 else f"{shown} and {len(things) - 10} more"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' if number != 1 else ''}"


@operation()
def reconciled(
    settings: Settings, environments: Sequence[Environment], checkpoint: str
) -> Commands:
    """
    Have Flux done with what the repositories say now, and with all it was asked for.

    + settings: the lab's settings
    + environments: whose
    + checkpoint: where the repositories are; at `done` the Secret of the chapter has to be live
    """
    left = standing(settings, environments)
    secret = SECRET if checkpoint == "done" else ""
    states = _asked(Deliveries, settings, left, secret=secret)
    seats = [one.id for one in left if one.is_seat]
    canaries = host.get_fact(SeatCanaries, settings=settings, seats=seats) if seats else {}
    waiting = [
        one
        for one in left
        if states.get(one.id) != "arrived" or (one.id in seats and canaries.get(one.id) != "proven")
    ]
    if not waiting:
        host.noop("Flux has applied what the repositories hold")
        return
    yield lab_script(
        settings, _RECONCILE, settings.class_dir, *delivery_arguments(settings, waiting, secret)
    )


@operation()
def foretold(
    settings: Settings, environments: Sequence[Environment], checkpoint: str, saved: str
) -> Commands:
    """
    Say what a reset would do to each environment, and change nothing.

    + settings: the lab's settings
    + environments: whose
    + checkpoint: `start`, `encrypted`, `wired` or `done`
    + saved: a branch such as the reset would make
    """
    asked = list(environments)
    repositories = _asked(Repositories, settings, asked, checkpoint=checkpoint, saved=saved)
    states = _asked(EnvironmentStates, settings, asked)
    secret = SECRET if checkpoint == "done" else ""
    deliveries = _asked(Deliveries, settings, asked, secret=secret)
    drills = _asked(Drills, settings, asked)
    for one in asked:
        learner = one.id
        sentences = repository_plan(repositories.get(learner, _UNSEEN), checkpoint)
        if learner in drills:
            sentences = [f"its drill ends, what is on top of it kept in {kept_dir(settings)}"]
        elif not one.is_seat:
            clone = host.get_fact(
                CloneAtCheckpoint,
                settings=settings,
                environment=one,
                checkpoint=checkpoint,
                saved=saved,
            )
            sentences += [] if clone is None else clone_plan(settings, clone)
        problem = _hopeless(one, states.get(learner))
        sentences += [problem] if problem else environment_plan(states[learner])
        if not sentences and deliveries.get(learner) != "arrived":
            sentences.append(
                f"Flux is asked again: {deliveries.get(learner, 'it does not answer')}"
            )
        for sentence in sentences:
            note(f"{learner}: {sentence}")
    host.noop("nothing is changed by looking")
    yield from ()
