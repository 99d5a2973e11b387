"""The learner's repository: the file, its way to the Git server, its history and its hooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import Enum

import yaml

from sopslab.course.chapter import UP, Chapter
from sopslab.incidents.exposures import cover
from sopslab.incidents.records import Incident
from sopslab.layout import NAMESPACE
from sopslab.model.results import Status, Verdict, failed, passed, undecided
from sopslab.policy.findings import Finding, Report
from sopslab.policy.recipients import CONFIG


class Opened(Enum):
    """What became of decrypting the file with the learner's key."""

    YES = "yes"
    MAC = "mac"
    KEY = "key"
    NO = "no"
    NOT_TRIED = "not tried"


@dataclass(frozen=True)
class SecretFile:
    """The manifest of the secret in the clone.

    `report` is the policy's; `keys` are those of its values; `digests` has the SHA-256 of each
    value once it was opened, and `misfits` the values that Kubernetes would refuse.
    """

    there: bool = True
    report: Report = field(default_factory=Report)
    documents: int = 1
    kind: str = "Secret"
    name: str = ""
    namespace: str = NAMESPACE
    opened: Opened = Opened.YES
    keys: Set[str] = frozenset()
    digests: Mapping[str, str] = field(default_factory=dict)
    misfits: Sequence[str] = ()


def judge_encrypted(file: SecretFile, chapter: Chapter) -> Verdict:
    """Judge whether the file is there, encrypted throughout, and as it was encrypted."""
    written = judge_written(file, chapter)
    if written.status is not Status.OK:
        return written
    again = chapter.encrypt_again
    match file.opened:
        case Opened.MAC:
            return failed(
                f"{chapter.file} was changed after it was encrypted: its MAC does not fit. Flux"
                " does not check that, and would apply it.",
                again,
            )
        case Opened.KEY:
            return failed(f"{chapter.file} is encrypted, but not to your key.", again)
        case Opened.NO:
            return failed(f"sops cannot decrypt {chapter.file}: it is damaged.", again)
        case Opened.NOT_TRIED:
            return undecided(
                f"{chapter.file} is encrypted; without your key nobody can tell whether it was"
                " changed since."
            )
    for key in file.misfits:
        return failed(f"{chapter.file}: the value of {key} is none that Kubernetes takes.", again)
    if not file.digests:
        return failed(f"{chapter.file} holds no key at all.", again)
    return passed(f"every value of {chapter.file} is encrypted, and its MAC fits.")


def judge_written(file: SecretFile, chapter: Chapter) -> Verdict:
    """Judge what can be said of the file without a key: it is there, encrypted, the right one."""
    if not file.there:
        return failed(
            f"{chapter.file} is not there yet: this is where the chapter begins. The command asks"
            " for keys and values, and shows no value.",
            chapter.encrypt,
        )
    if file.report.undecided:
        return undecided(f"{chapter.file} could not be judged: {file.report.undecided[0]}.", UP)
    for finding in file.report.findings:
        return failed(
            f"{chapter.file}, line {finding.line}: {finding.message}. [{finding.rule}]",
            _fix(finding, chapter),
        )
    again = chapter.encrypt_again
    if file.documents != 1:
        return failed(f"{chapter.file} holds {file.documents} documents instead of one.", again)
    if file.kind != "Secret" or file.name != chapter.secret:
        return failed(f"{chapter.file} is not a Secret of the name {chapter.secret}.", again)
    if file.namespace != chapter.namespace:
        return failed(f"{chapter.file} does not name the namespace {chapter.namespace}.", again)
    return passed(f"every value of {chapter.file} is encrypted.")


def _fix(finding: Finding, chapter: Chapter) -> str:
    if finding.rule == "sops-no-rule":
        return chapter.restore(CONFIG)
    return chapter.encrypt_again


def judge_wired(kustomization: str | None, chapter: Chapter) -> Verdict:
    """Judge whether the kustomization lists the file.

    + kustomization: the text of kustomization.yaml, None if there is none
    """
    if kustomization is None:
        return failed(
            f"{chapter.kustomization} is missing.",
            chapter.restore(chapter.kustomization),
        )
    name = f"{chapter.secret}.yaml"
    try:
        parsed = yaml.safe_load(kustomization)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        return failed(
            f"{chapter.kustomization}{line} is not valid YAML.",
            chapter.at_work("sopslab validate"),
        )
    resources = parsed.get("resources") if isinstance(parsed, dict) else None
    listed = [str(one).removeprefix("./") for one in resources or [] if isinstance(one, str)]
    if name in listed:
        return passed(f"{chapter.kustomization} lists {name}.")
    edit = chapter.at_work(f"${{EDITOR:-vi}} {chapter.kustomization}")
    for number, line in enumerate(kustomization.splitlines(), 1):
        if line.lstrip().startswith("#") and line.lstrip("# \t-").strip() == name:
            return failed(
                f"{chapter.kustomization} does not list {name}, so Flux would not apply it:"
                f" uncomment line {number}.",
                edit,
            )
    return failed(
        f"{chapter.kustomization} does not list {name}, so Flux would not apply it: add `- {name}`"
        " under resources.",
        edit,
    )


@dataclass(frozen=True)
class Commit:
    """What is committed: the paths with changes that are not, and whether HEAD has the file.

    `same` tells whether HEAD has it as it lies in the clone; `head` is None before the
    first commit.
    """

    head: str | None
    changes: Sequence[str] = ()
    in_head: bool = True
    same: bool = True


def judge_committed(commit: Commit, chapter: Chapter) -> Verdict:
    """Judge whether the clone's secrets are what HEAD has."""
    if commit.head is None:
        return failed("nothing is committed yet.", chapter.commit)
    known = {chapter.file, chapter.kustomization}
    others = [path for path in commit.changes if path not in known]
    if commit.changes and not others:
        changed = " and ".join(commit.changes)
        return failed(f"{changed} is not committed as it is.", chapter.commit)
    if others:
        return failed(
            f"{others[0]} is not committed as it is.",
            chapter.at_work("git status -- flux/secrets"),
        )
    if not commit.in_head or not commit.same:
        return failed(
            f"{chapter.file} is not committed as it is, and Git does not show it as changed: it is"
            " ignored.",
            chapter.at_work(f"git add --force {chapter.file} && git commit"),
        )
    return passed(f"everything below flux/secrets is committed in {commit.head[:7]}.")


class Relation(Enum):
    """How HEAD stands to the Git server's main."""

    SAME = "same"
    AHEAD = "ahead"
    BEHIND = "behind"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Push:
    """What is on the Git server: `reached` tells whether it answered, `main` is its commit."""

    head: str
    branch: str = "main"
    reached: bool = True
    main: str | None = None
    relation: Relation = Relation.SAME


def judge_pushed(push: Push, chapter: Chapter) -> Verdict:
    """Judge whether HEAD is what the Git server has as main."""
    if not push.reached:
        return undecided("the Git server could not be asked for its branch main.", UP)
    to_main = "git push" if push.branch == "main" else "git push origin HEAD:main"
    if push.main is None:
        return failed(
            "the Git server has no branch main.", chapter.at_work("git push origin HEAD:main")
        )
    if push.main == push.head:
        return passed(f"the Git server's main is your commit {push.head[:7]}.")
    match push.relation:
        case Relation.BEHIND:
            return failed(
                f"the Git server's main ({push.main[:7]}) is ahead of your commit {push.head[:7]}.",
                chapter.at_work("git pull --rebase origin main"),
            )
        case Relation.DIVERGED:
            return failed(
                f"your commit {push.head[:7]} and the Git server's main ({push.main[:7]}) went"
                " different ways.",
                chapter.at_work(f"git pull --rebase origin main && {to_main}"),
            )
    return failed(
        f"your commit {push.head[:7]} is not pushed: the Git server's main is {push.main[:7]}.",
        chapter.at_work(to_main),
    )


@dataclass(frozen=True)
class History:
    """What the policy finds in the history of `repository`, and the incidents on record."""

    report: Report
    repository: str = ""
    incidents: Sequence[Incident] = ()


def judge_history(history: History, chapter: Chapter) -> Verdict:
    """Judge whether any version of any file, in any commit, holds plain text or a key.

    What does is dealt with once an incident names it and is closed.
    """
    report, look = history.report, chapter.at_work("sopslab policy history")
    if report.undecided:
        return undecided(f"the history could not be searched: {report.undecided[0]}.", look)
    coverage = cover(report.findings, history.incidents, history.repository)
    if coverage.uncovered:
        return _judge_uncovered(coverage.uncovered)
    if coverage.open:
        first = coverage.open[0].id
        return failed(
            f"the incident {first} is open: what the history holds is not dealt with before it is"
            " closed.",
            f"sopslab incident close {first}",
        )
    if coverage.closed:
        closed = " and ".join(f"{one.id} (closed on {one.closed})" for one in coverage.closed)
        return passed(
            f"what the history holds in plain text is dealt with in {closed}; it stays readable for"
            " ever."
        )
    return passed(
        f"none of the {report.checked} file versions in the history holds a secret in plain text"
        " or a key."
    )


def _judge_uncovered(findings: Sequence[Finding]) -> Verdict:
    first, more = findings[0], len(findings) - 1
    where = f"{_printable(first.path)}, line {first.line}"
    if first.commit:
        where += f" of commit {first.commit[:7]}"
    rest = f" ({more} more)" if more else ""
    return failed(
        f"{where}: {first.message} [{first.rule}]{rest}. Reverting does not take it out of the"
        " history: the value counts as leaked and has to be replaced, see rotation-plan.md. This"
        " check passes once an incident names it and is closed.",
        "sopslab incident open leaked-value",
    )


@dataclass(frozen=True)
class Hooks:
    """The commit hooks: whether Git runs pre-commit, and the ids that are not configured as given.

    `configured` is False where .pre-commit-config.yaml is missing or cannot be read.
    """

    path: str
    runs_pre_commit: bool = True
    configured: bool = True
    missing: Sequence[str] = ()
    install: str = UP


HOOK_CONFIG = ".pre-commit-config.yaml"


def judge_hooks(hooks: Hooks, chapter: Chapter) -> Verdict:
    """Judge whether a commit is checked before it is made."""
    if not hooks.runs_pre_commit:
        return failed(
            f"no commit is checked: {hooks.path} is missing, cannot be run, or does not run"
            " pre-commit.",
            hooks.install,
        )
    restore = chapter.restore(HOOK_CONFIG)
    if not hooks.configured:
        return failed(f"{HOOK_CONFIG} is missing or cannot be read.", restore)
    if hooks.missing:
        named = " and ".join(hooks.missing)
        return failed(f"{HOOK_CONFIG} does not have the hook {named} as the lab gave it.", restore)
    return passed("pre-commit runs no-secrets and flux-kustomize-validate before each commit.")


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
