"""What the exercise still lacks. These are no faults: the step comes next, or only takes a moment.
Pure.

The exercise is not done while any check lacks something. Content is compared by its SHA-256.
Messages of other programs are never repeated, because they may quote what they refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sopslab.checks import delivery
from sopslab.checks.delivery import Pending, Why
from sopslab.checks.objects import failure, kustomization, source
from sopslab.checks.rules.content import edit_list
from sopslab.checks.rules.table import Step
from sopslab.checks.snapshot import Relation, Snapshot, known
from sopslab.course import lacks
from sopslab.course.listing import read_list
from sopslab.incidents.coverage import cover
from sopslab.model.builds import build_of
from sopslab.model.objects import Object, condition, inventory
from sopslab.model.results import Undecided, Verdict, awaited, failed
from sopslab.policy.findings import Finding
from sopslab.policy.printing import in_one_line
from sopslab.policy.recipients import CONFIG

Lack = Callable[[Snapshot], Verdict | None]

USE_THE_LAB = 'eval "$(sopslab env)"'


def _shadowed(seen: Snapshot) -> Verdict | None:
    """Return a failure if the shell finds another tool than the lab's. Other checks can still be
    judged."""
    for tool in known(seen.tools):
        if tool.first is not None and tool.first_version != tool.wanted:
            return failed(
                f"this shell finds another {tool.name} than the lab's: {tool.first} is"
                f" {tool.first_version or 'of an unknown version'}, not {tool.wanted}.",
                USE_THE_LAB,
                blocking=False,
            )
    return None


def encrypted(seen: Snapshot) -> Verdict | None:
    """Return what the exercise's file still lacks."""
    tree, chapter = known(seen.tree), seen.chapter
    again = chapter.encrypt_again
    if f"{chapter.secret}.yaml" not in tree.files:
        return failed(lacks.no_file(chapter), chapter.encrypt)
    manifest = tree.manifests.get(f"{chapter.secret}.yaml")
    if manifest is None or manifest.name != chapter.secret:
        return failed(f"{chapter.file} is not one Secret of the name {chapter.secret}.", again)
    if manifest.namespace != chapter.namespace:
        return failed(f"{chapter.file} does not name the namespace {chapter.namespace}.", again)
    if not manifest.keys:
        return failed(f"{chapter.file} holds no key at all.", again)
    if manifest.recipients is None:
        return failed(lacks.not_encrypted(chapter), again)
    for key in manifest.misfits:
        return failed(
            f"{chapter.file}: the value of {key} is not one that Kubernetes accepts.", again
        )
    return None


def wired(seen: Snapshot) -> Verdict | None:
    """Return a failure if kustomization.yaml does not list the file for Flux to apply."""
    tree, chapter = known(seen.tree), seen.chapter
    text, name = tree.kustomization or "", f"{chapter.secret}.yaml"
    if name in (read_list(text) or ()):
        return None
    return failed(lacks.not_listed(chapter, text), edit_list(chapter))


def _committed(seen: Snapshot) -> Verdict | None:
    commit, chapter = known(seen.commit), seen.chapter
    if commit.head is None:
        return failed("nothing is committed yet.", chapter.commit)
    others = [path for path in commit.changes if path not in (chapter.file, chapter.kustomization)]
    if others:
        return failed(
            f"{others[0]} is not committed as it is.",
            chapter.at_work(f"git status -- flux/secrets {CONFIG}"),
        )
    if commit.changes:
        changed = " and ".join(commit.changes)
        return failed(f"{changed} is not committed as it is.", chapter.commit)
    if not commit.in_head or not commit.same:
        return failed(
            f"{chapter.file} is not committed as it is, and Git does not show it as changed: it is"
            " ignored.",
            chapter.at_work(f"git add --force {chapter.file} && git commit"),
        )
    return None


def _pushed(seen: Snapshot) -> Verdict | None:
    main, push, chapter = known(seen.branches).main, known(seen.push), seen.chapter
    head = _head(seen)
    to_main = "git push" if push.branch == "main" else "git push origin HEAD:main"
    if main == head:
        return None
    if main is None:
        return failed("the Git server has no branch main.", chapter.at_work(to_main))
    if push.relation is Relation.AHEAD:
        return failed(lacks.not_pushed(head, main), chapter.at_work(to_main))
    if push.relation is Relation.BEHIND:
        return failed(
            f"the Git server's main ({main[:7]}) is ahead of your commit {head[:7]}.",
            chapter.at_work("git pull --rebase origin main"),
        )
    return failed(
        lacks.gone_apart(head, main),
        chapter.at_work(f"git pull --rebase origin main && {to_main}"),
    )


def read(seen: Snapshot) -> Verdict | None:
    """Return a failure if Flux has not read the tree's commit yet."""
    found, head, chapter = source(seen), _head(seen), seen.chapter
    late = delivery.reading(seen, head)
    # A missing source is a fault, and a rule reports it.
    if found is None or late is None:
        return None
    revision = delivery.read_revision(found)
    last = "it has read nothing yet"
    if revision:
        last = f"what it last read is {delivery.in_words(revision)}"
    if late.why is Why.NOT_READY and (refused := failure(found)) is not None:
        meaning = refused.meaning
        if meaning is None:
            return failed(
                f"stale source: Flux cannot read the repository ({refused.reason}), {last}.",
                f"flux --namespace {chapter.system} get source git {chapter.source}",
            )
        return failed(
            f"stale source: {meaning.meaning(chapter)}, and {last}.", meaning.fix(chapter)
        )
    told = {
        Why.UNSEEN: "Flux has not yet looked at the present form of the GitRepository",
        Why.BEHIND: f"Flux has not read {head[:7]} yet: {last}",
        Why.BUSY: f"Flux is reading the repository at the moment, and {last}",
    }
    return awaited(f"{told.get(late.why, late.said)}.", chapter.wait)


def applied(seen: Snapshot) -> Verdict | None:
    """Return a failure if Flux has not yet applied the tree's commit with the exercise's Secret in
    it."""
    found, head, chapter = kustomization(seen), _head(seen), seen.chapter
    if found is None:
        return None
    late = delivery.applying(seen, head)
    if late is not None:
        return _not_applied(found, head, late, seen)
    if f"{chapter.namespace}_{chapter.secret}__Secret" not in inventory(found):
        return failed(
            f"Flux applied {head[:7]}, but {chapter.live} was not in it.",
            chapter.at_work("sopslab validate"),
        )
    return None


def _not_applied(found: Object, head: str, late: Pending, seen: Snapshot) -> Verdict:
    chapter, environment = seen.chapter, seen.environment
    name = environment.kustomization
    waits = build_of(condition(found, "Reconciling")) is not None
    # If the environment's own build does not end, a rule says so.
    if waits and (holder := known(seen.holder)) not in ("", environment.id):
        # Only the command names the other learner, and learners are not shown the command.
        return awaited(
            "Flux is held up by another build, which takes too long.",
            f"sopslab reset {holder}",
        )
    if late.why is Why.NOT_READY and (refused := failure(found)) is not None:
        meaning = refused.meaning
        if meaning is None:
            return failed(
                f"Flux could not apply the repository ({refused.reason}).", chapter.describe
            )
        return failed(
            f"Flux could not apply the repository: {meaning.meaning(chapter)}.",
            meaning.fix(chapter),
        )
    revision = delivery.applied_revision(found)
    last = "it applied nothing"
    if revision:
        last = f"what it last applied is {delivery.in_words(revision)}"
    told = {
        Why.UNSEEN: f"Flux has not yet looked at the present form of {name}",
        Why.BEHIND: f"Flux has not applied {head[:7]} yet: {last}",
        Why.BUSY: f"Flux is at work on {name} at the moment",
    }
    return awaited(f"{told.get(late.why, late.said)}.", chapter.wait)


def secret(seen: Snapshot) -> Verdict | None:
    """Return a failure if the cluster does not have the exercise's Secret."""
    if seen.chapter.secret in known(seen.live):
        return None
    return failed(f"{seen.chapter.live} does not exist.", seen.chapter.reconcile)


def _history(seen: Snapshot) -> Verdict | None:
    """Return a failure if the history exposes a secret. An exposed secret is dealt with once an
    incident names it and that incident is closed."""
    history = known(seen.history)
    if history.report.undecided:
        raise Undecided(
            f"the history could not be searched: {history.report.undecided[0]}",
            seen.chapter.at_work("sopslab policy history"),
        )
    coverage = cover(history.report.findings, history.incidents, history.repository)
    if coverage.uncovered:
        return _uncovered(coverage.uncovered)
    if coverage.open:
        first = coverage.open[0].id
        return failed(
            f"the incident {first} is open: what the history holds is not dealt with before it is"
            " closed.",
            f"sopslab incident close {first}",
        )
    return None


def _uncovered(findings: Sequence[Finding]) -> Verdict:
    first, more = findings[0], len(findings) - 1
    where = f"{in_one_line(first.path)}, line {first.line}"
    if first.commit:
        where += f" of commit {first.commit[:7]}"
    rest = f" ({more} more)" if more else ""
    return failed(
        f"{where}: {first.message} [{first.rule}]{rest}. Reverting does not take it out of the"
        " history: the value counts as leaked and has to be replaced, see rotation-plan.md. This"
        " check passes once an incident names it and is closed.",
        "sopslab incident open leaked-value",
    )


def _head(seen: Snapshot) -> str:
    head = known(seen.tree).commit
    if head is None:
        raise Undecided("nothing is committed yet")
    return head


LACKS: Mapping[Step, Lack] = {
    Step.TOOLS: _shadowed,
    Step.ENCRYPTED: encrypted,
    Step.WIRED: wired,
    Step.COMMITTED: _committed,
    Step.PUSHED: _pushed,
    Step.SOURCE: read,
    Step.APPLIED: applied,
    Step.SECRET: secret,
    Step.HISTORY: _history,
}
