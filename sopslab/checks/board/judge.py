"""What was seen of a seat, judged step by step. Pure.

All values of a class cannot be decrypted in the time that a look may take. So a Secret counts as
the one on main when Flux made it, it has the keys of the file, and Flux says that what it last
applied is main. `sopslab verify` compares the values, one learner at a time. Whether the history
holds plain text is not looked at either: the Git server's hook has seen every push.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sopslab.checks.board.seen import InCluster, Seen, Tree
from sopslab.checks.board.steps import STEPS, Progress, Row, SeatChapter, Step, chapter_at
from sopslab.checks.verification import cluster, delivery, repository
from sopslab.config.settings import Seat
from sopslab.course.chapter import UP
from sopslab.layout import FLUX_NAMESPACE
from sopslab.model.objects import Object, condition
from sopslab.model.results import Status, Undecided, Verdict, failed, passed, undecided
from sopslab.policy.findings import Finding
from sopslab.policy.printing import in_one_line
from sopslab.policy.recipients import CONFIG

_PROGRESS = {Status.OK: Progress.YES, Status.FAILED: Progress.NO}


def judge(seat: Seat, seen: Seen) -> Row:
    """Return how far a learner is."""
    chapter = chapter_at(seen.environment)
    return Row(seat, tuple(_step(name, seen, chapter) for name in STEPS))


def _step(name: str, seen: Seen, chapter: SeatChapter) -> Step:
    try:
        verdict = _JUDGES[name](seen, chapter)
    except Undecided as reason:
        verdict = undecided(f"{reason.found}.", reason.next_step)
    progress = _PROGRESS.get(verdict.status, Progress.UNKNOWN)
    if progress is Progress.YES:
        return Step(name, progress)
    stuck = progress is Progress.NO and not verdict.transient and _STUCK[name](seen)
    return Step(name, progress, _line(verdict.found), _line(verdict.next_step), stuck)


def _line(text: str) -> str:
    """Return a text that may name a learner's file as one line that no terminal obeys."""
    return in_one_line(text)


def _access(seen: Seen, _chapter: SeatChapter) -> Verdict:
    environment = seen.environment
    if not seen.kubeconfig:
        return failed("the seat has no kubeconfig yet.", UP)
    if not seen.password:
        return failed("the seat has no password for the Git server yet.", UP)
    if not seen.repository.there:
        return failed(f"the Git server has no repository {environment.repository}.", UP)
    found = _asked(seen)
    for namespace in (environment.namespace, environment.system):
        phase = found.namespaces.get(namespace)
        if phase is None:
            return failed(f"the namespace {namespace} does not exist.", UP)
        if phase != "Active":
            return failed(
                f"the namespace {namespace} is being deleted.",
                f"kubectl describe namespace {namespace}",
            )
    return _platform(found.tenant)


def _platform(tenant: Object | None) -> Verdict:
    """Judge whether Flux keeps the seat as the platform repository has it."""
    if tenant is None:
        return failed("the platform has no Kustomization for the seat.", UP)
    if suspended := cluster.judge_suspended(tenant, "kustomization"):
        return suspended
    ready, name = condition(tenant, "Ready"), tenant["metadata"]["name"]
    if ready.get("status") == "False":
        return failed(
            f"Flux could not apply the seat ({ready.get('reason')}).",
            f"kubectl -n {FLUX_NAMESPACE} describe kustomization {name}",
        )
    return passed("the learner can begin.")


def _key(seen: Seen, chapter: SeatChapter) -> Verdict:
    tree = _tree(seen)
    if tree.unruled:
        raise Undecided(tree.unruled, chapter.restore(CONFIG))
    keys = cluster.Keys(seen.identity, seen.instructor, _asked(seen).key, tree.rule)
    return cluster.judge_key(keys, chapter)


def _pushed(seen: Seen, chapter: SeatChapter) -> Verdict:
    if not seen.repository.problem and seen.repository.head is None:
        return repository.judge_pushed(repository.Push("", main=None), chapter)
    head, start = _head(seen), seen.repository.start
    if start is None:
        raise Undecided("nobody knows with which commit the repository began", UP)
    if head == start:
        return failed("nothing is pushed yet: main is where it began.", chapter.at_work("git push"))
    return passed("main has a commit of the learner's.")


def _encrypted(seen: Seen, chapter: SeatChapter) -> Verdict:
    tree = _tree(seen)
    for finding in tree.others.findings:
        return failed(_told(finding), chapter.at_work("sopslab policy history"))
    for reason in tree.others.undecided:
        raise Undecided(f"main could not be judged: {reason}")
    return repository.judge_written(tree.file, chapter)


def _told(finding: Finding) -> str:
    return f"{finding.path}, line {finding.line}: {finding.message}. [{finding.rule}]"


def _wired(seen: Seen, chapter: SeatChapter) -> Verdict:
    return repository.judge_wired(_tree(seen).kustomization, chapter)


def _source(seen: Seen, chapter: SeatChapter) -> Verdict:
    found = _asked(seen).source
    if found is not None and (suspended := cluster.judge_suspended(found, "source git")):
        return suspended
    return delivery.judge_source(delivery.Source(found), _head(seen), chapter)


def _applied(seen: Seen, chapter: SeatChapter) -> Verdict:
    found, holder = _asked(seen).kustomization, _asked(seen).holder
    if found is not None and (suspended := cluster.judge_suspended(found, "kustomization")):
        return suspended
    if holder == _id(seen):
        return failed(
            "the build of main does not end, and everybody waits for it.", f"sopslab reset {holder}"
        )
    if holder and found is not None and _is_building(found):
        return failed(
            f"Flux is held up by the build of {holder}, which does not end.",
            f"sopslab reset {holder}",
        )
    return delivery.judge_applied(found, _head(seen), chapter)


def _id(seen: Seen) -> str:
    return seen.environment.id


def _is_building(found: Object) -> bool:
    return cluster.build_of(condition(found, "Reconciling")) is not None


def _secret(seen: Seen, chapter: SeatChapter) -> Verdict:
    live = _asked(seen).live
    if live is None:
        return delivery.judge_form(None, frozenset(), frozenset(), chapter)
    applied = _applied(seen, chapter).status is Status.OK
    wanted = _tree(seen).file.keys if applied else live.keys
    form = delivery.judge_form(live.labels, live.keys, wanted, chapter)
    if form.status is Status.OK and not applied:
        raise Undecided("whether the Secret is the one on main shows when main is applied")
    return form


def _asked(seen: Seen) -> InCluster:
    if seen.cluster is None:
        raise Undecided("the cluster could not be asked", UP)
    return seen.cluster


def _head(seen: Seen) -> str:
    if seen.repository.problem:
        raise Undecided(seen.repository.problem)
    if seen.repository.head is None:
        raise Undecided("the repository has no branch main")
    return seen.repository.head


def _tree(seen: Seen) -> Tree:
    _head(seen)
    if seen.repository.tree is None:
        raise Undecided("main was not read")
    return seen.repository.tree


_JUDGES: Mapping[str, Callable[[Seen, SeatChapter], Verdict]] = {
    "access": _access,
    "key": _key,
    "pushed": _pushed,
    "encrypted": _encrypted,
    "wired": _wired,
    "source": _source,
    "applied": _applied,
    "secret": _secret,
}


def _always(_seen: Seen) -> bool:
    return True


def _never(_seen: Seen) -> bool:
    return False


def _has_no_main(seen: Seen) -> bool:
    return seen.repository.head is None


def _wrote_something_else(seen: Seen) -> bool:
    tree = _tree(seen)
    return tree.file.there or bool(tree.others.findings)


def _is_refused(seen: Seen) -> bool:
    """Return whether Flux does not, or cannot, apply; else only the file is not in what it did."""
    found = _asked(seen).kustomization
    if found is None or found["spec"].get("suspend") or _asked(seen).holder == _id(seen):
        return True
    return condition(found, "Ready").get("status") == "False"


def _is_somebody_elses(seen: Seen) -> bool:
    return _asked(seen).live is not None


# When a step that is not done is more than the next thing to do.
_STUCK: Mapping[str, Callable[[Seen], bool]] = {
    "access": _always,
    "key": _always,
    "pushed": _has_no_main,
    "encrypted": _wrote_something_else,
    "wired": _never,
    "source": _always,
    "applied": _is_refused,
    "secret": _is_somebody_elses,
}
