"""The content of a tree: .sops.yaml, the encrypted files, and the list of what Flux applies.

The tree is either main or the clone in which a learner works; both are judged alike.
"""

from __future__ import annotations

from collections.abc import Iterator

from sopslab.checks.rules.key import listed
from sopslab.checks.rules.results import Cause, Evidence, cause
from sopslab.checks.snapshot import Manifest, Opened, Snapshot, Tree, known
from sopslab.course.chapter import UP, Chapter
from sopslab.course.listing import how_to_list, read_list
from sopslab.model.results import Undecided
from sopslab.policy.recipients import CONFIG
from sopslab.policy.sops import AGREED_REGEX, short


def examine_rules(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause if .sops.yaml would encrypt the next file to wrong recipients."""
    tree, chapter = known(seen.tree), seen.chapter
    restore = chapter.restore(CONFIG)
    if tree.unruled:
        yield cause("rule-unreadable", f"{CONFIG} is not valid.", CONFIG, tree.unruled, restore)
        return
    if not tree.rule.there or tree.rule.recipients is None:
        yield cause(
            "rule-missing",
            f"No creation rule says how {chapter.file} is encrypted.",
            CONFIG,
            "none of its rules matches" if tree.rule.there else "is missing",
            restore,
        )
        return
    named = tree.rule.recipients
    own, instructor = known(seen.identity).recipient, known(seen.instructor).recipient
    if own is not None and own not in named:
        yield cause(
            "wrong-rule",
            f"{CONFIG} does not encrypt to the environment's key.",
            CONFIG,
            f"its rule names {listed(named)}, and the key is {short(own)}",
            restore,
        )
        return
    if own is None or instructor is None:
        return
    if instructor not in named:
        yield cause(
            "rule-without-instructor",
            f"{CONFIG} leaves out the instructor, who could not help with a lost key.",
            CONFIG,
            f"its rule names {listed(named)}, and the instructor is {short(instructor)}",
            restore,
        )
    if strangers := named - {own, instructor}:
        yield cause(
            "rule-with-stranger",
            f"{CONFIG} encrypts to a recipient that is unknown.",
            CONFIG,
            f"its rule names {listed(strangers)}, too",
            restore,
        )


def examine_encryption(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause for values in plain text, or for an encrypted_regex that leaves them so."""
    tree = known(seen.tree)
    typo = tree.regex is not None and tree.regex != AGREED_REGEX
    evidence, steps = [], []
    if typo:
        evidence.append(Evidence(CONFIG, f"encrypted_regex is {tree.regex}, not {AGREED_REGEX}"))
        steps.append(seen.chapter.restore(CONFIG))
    for name, manifest in sorted(tree.manifests.items()):
        if not manifest.plain:
            continue
        keys, what = ", ".join(manifest.plain), _path(seen, name)
        if manifest.recipients is None:
            yield cause(
                "plaintext-secret",
                f"{what} is not encrypted at all, and Flux applies it without a word.",
                what,
                f"in plain text: {keys}; what was pushed counts as leaked",
                _encrypt_again(seen, name),
            )
        elif manifest.regex == AGREED_REGEX:
            yield cause(
                "plaintext-value",
                f"{what} has a value that was added in plain text.",
                what,
                f"in plain text: {keys}; what was pushed counts as leaked",
                _encrypt_again(seen, name),
            )
        else:
            evidence.append(Evidence(what, f"in plain text below a sops block: {keys}"))
            steps.append(_encrypt_again(seen, name))
    if evidence:
        yield Cause(
            "encrypted-regex-typo",
            "encrypted_regex does not cover the values: sops leaves them in plain text, and Flux"
            " applies that without a word.",
            tuple(evidence),
            " && ".join(steps),
        )


def examine_recipients(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause for each encrypted Secret with wrong recipients or another namespace."""
    tree, own = known(seen.tree), known(seen.identity).recipient
    for name, manifest in _encrypted(tree):
        what = _path(seen, name)
        if _is_foreign(manifest, own):
            yield cause(
                "wrong-recipient",
                f"{what} is not encrypted to the environment's key, so Flux cannot open it.",
                what,
                f"is for {listed(manifest.recipients or frozenset())}, and the key is"
                f" {short(own or '')}",
                _encrypt_again(seen, name),
            )
        elif _is_elsewhere(manifest, seen):
            yield cause(
                "wrong-namespace",
                f"{what} names another namespace than the environment's.",
                what,
                f"names {manifest.namespace}, where the namespace {seen.environment.namespace} is"
                " meant",
                _encrypt_again(seen, name),
            )


_EDITED = {
    Opened.MAC: "every value can be decrypted, but its MAC does not fit, which Flux does not check",
    Opened.NO: "a value cannot be decrypted although the key is right",
    Opened.KEY: "its data key cannot be opened although the recipient is right",
}


def examine_opened(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause for each Secret that was changed after sops wrote it."""
    tree, own = known(seen.tree), known(seen.identity).recipient
    for name, manifest in _encrypted(tree):
        if _is_foreign(manifest, own) or _is_elsewhere(manifest, seen):
            continue
        problem = _EDITED.get(known(manifest.opened))
        if problem is not None:
            what = _path(seen, name)
            yield cause(
                "edited-ciphertext",
                f"{what} was changed after it was encrypted.",
                what,
                problem,
                _encrypt_again(seen, name),
            )


def _encrypted(tree: Tree) -> Iterator[tuple[str, Manifest]]:
    for name, manifest in sorted(tree.manifests.items()):
        if manifest.recipients is not None and not manifest.plain:
            yield name, manifest


def _is_foreign(manifest: Manifest, own: str | None) -> bool:
    return own is not None and own not in (manifest.recipients or ())


def _is_elsewhere(manifest: Manifest, seen: Snapshot) -> bool:
    return manifest.namespace not in ("", seen.environment.namespace)


# The rules of the policy that compare a file with .sops.yaml.
_BY_THE_RULES = frozenset(
    {"sops-no-rule", "sops-wrong-recipient", "sops-missing-recipient", "sops-wrong-regex"}
)


def examine_policy(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause for each finding of the policy in the folder of secrets."""
    report, chapter = known(seen.tree).report, seen.chapter
    for finding in report.findings:
        mend = chapter.encrypt_again
        if finding.path != chapter.file:
            mend = chapter.at_work("sopslab policy history")
        found = f"line {finding.line}: {finding.message} [{finding.rule}]"
        if finding.rule in _BY_THE_RULES:
            sentence = f"{finding.path} is not encrypted as {CONFIG} says."
            yield cause("encrypted-otherwise", sentence, finding.path, found, mend)
        else:
            sentence = f"{finding.path} holds what must not be committed."
            yield cause("policy-violation", sentence, finding.path, found, mend)
    for reason in report.undecided:
        raise Undecided(f"the policy could not judge the secrets: {reason}", UP)


def examine_list(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause if Flux cannot build what kustomization.yaml lists, or has no such list."""
    tree, chapter = known(seen.tree), seen.chapter
    what = chapter.kustomization
    if not tree.files:
        yield cause(
            "folder-missing",
            f"The folder {chapter.folder} that Flux applies is not there.",
            chapter.folder,
            "has no file",
            chapter.restore(chapter.folder),
        )
        return
    if tree.kustomization is None:
        yield cause(
            "list-missing",
            f"{what} is missing, so Flux applies whatever lies in the folder.",
            what,
            "is not there",
            chapter.restore(what),
        )
        return
    resources = read_list(tree.kustomization)
    if resources is None:
        yield cause(
            "list-invalid",
            f"{what} is not valid, so Flux can build nothing.",
            what,
            "is not YAML with a list of resources",
            chapter.at_work("sopslab validate"),
        )
        return
    absent = [name for name in resources if "/" not in name and name not in tree.files]
    for name in absent:
        yield cause(
            "listed-file-missing",
            f"{what} lists a file that is not there, so Flux can build nothing.",
            what,
            f"lists {name}, which is not in the folder",
            f"{edit_list(chapter)} && git add {chapter.folder} && git commit && git push",
        )


def examine_unlisted(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause for each file that was listed once and is not any more. A file that was never
    listed is no fault, but an unfinished exercise."""
    tree, chapter = known(seen.tree), seen.chapter
    resources = read_list(tree.kustomization or "")
    if tree.kustomization is None or resources is None:
        return
    for name in sorted(set(tree.manifests) & set(known(tree.once_listed)) - set(resources)):
        yield cause(
            "not-wired",
            f"{name} is encrypted and there, but not listed any more, so Flux removes it.",
            chapter.kustomization,
            f"listed {name} in an earlier commit, and does not now:"
            f" {how_to_list(tree.kustomization, name)}",
            edit_list(chapter),
        )


def edit_list(chapter: Chapter) -> str:
    """Return the command that opens kustomization.yaml in an editor."""
    return chapter.at_work(f"${{EDITOR:-vi}} {chapter.kustomization}")


def listed_manifests(tree: Tree) -> dict[str, Manifest]:
    """Return the Secrets that kustomization.yaml lists, by the name of their file."""
    resources = read_list(tree.kustomization or "") or ()
    return {name: one for name, one in tree.manifests.items() if name in resources}


def _path(seen: Snapshot, name: str) -> str:
    return f"{seen.chapter.folder}/{name}"


def _encrypt_again(seen: Snapshot, name: str) -> str:
    secret = name.rpartition(".")[0]
    if secret == seen.chapter.secret:
        return seen.chapter.encrypt_again
    # Only the lab knows the values of other Secrets, so they are restored from its first commit.
    return seen.chapter.restore(_path(seen, name))
