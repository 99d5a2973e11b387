"""What the learner's main holds: the rules, the encrypted files, the list of what is applied."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from sopslab.checks.doctor.results import Cause, Evidence, cause
from sopslab.checks.doctor.seen import Manifest, Repository, Seen, known
from sopslab.checks.verification.cluster import listed
from sopslab.checks.verification.repository import Opened
from sopslab.policy.recipients import CONFIG
from sopslab.policy.sops import AGREED_REGEX, short


def examine_rules(seen: Seen) -> Iterator[Cause]:
    """Yield what of .sops.yaml would encrypt the next file in a wrong way."""
    repository, chapter = known(seen.repository), seen.chapter
    if repository.main is None:
        return
    what, restore = f"{CONFIG} on main", chapter.restore(CONFIG)
    own = seen.identity.recipient
    if repository.unruled:
        yield cause("rule-unreadable", f"{CONFIG} is not valid.", what, repository.unruled, restore)
        return
    if not repository.rule.there or repository.rule.recipients is None:
        seen_there = "is gone" if not repository.rule.there else "none of its rules matches"
        yield cause(
            "rule-missing",
            f"No creation rule says how {chapter.file} is encrypted.",
            what,
            seen_there,
            restore,
        )
        return
    if own is not None and own not in repository.rule.recipients:
        yield cause(
            "wrong-rule",
            f"{CONFIG} does not encrypt to the environment's key.",
            what,
            f"its rule names {listed(repository.rule.recipients)}, and the key is {short(own)}",
            restore,
        )


def examine_manifests(seen: Seen) -> Iterator[Cause]:
    """Yield what is wrong with the Secrets in the environment's folder."""
    repository = known(seen.repository)
    if repository.main is None:
        return
    yield from _examine_encryption(seen, repository)
    own = seen.identity.recipient
    for name, manifest in sorted(repository.manifests.items()):
        what = _path(seen, name)
        if manifest.recipients is None or manifest.plain:
            continue
        if own is not None and own not in manifest.recipients:
            yield cause(
                "wrong-recipient",
                f"{what} is not encrypted to the environment's key, so Flux cannot open it.",
                f"{what} on main",
                f"is for {listed(manifest.recipients)}, and the key is {short(own)}",
                _encrypt_again(seen, name),
            )
        elif manifest.file.opened in (Opened.MAC, Opened.NO, Opened.KEY):
            yield cause(
                "edited-ciphertext",
                f"{what} was changed after it was encrypted.",
                f"{what} on main",
                _EDITED[manifest.file.opened],
                _encrypt_again(seen, name),
            )
        elif manifest.file.namespace not in ("", seen.environment.namespace):
            yield cause(
                "wrong-namespace",
                f"{what} names another namespace than the environment's.",
                f"{what} on main",
                f"its namespace is {manifest.file.namespace}, not {seen.environment.namespace}",
                _encrypt_again(seen, name),
            )


_EDITED = {
    Opened.MAC: "every value can be decrypted, but the MAC over the file does not fit; Flux does"
    " not check it",
    Opened.NO: "a value cannot be decrypted although the key is right",
    Opened.KEY: "its data key cannot be opened although the recipient is right",
}


def _examine_encryption(seen: Seen, repository: Repository) -> Iterator[Cause]:
    """Yield that the rules leave values in plain text, with the files in which they did."""
    typo = repository.regex is not None and repository.regex != AGREED_REGEX
    evidence = []
    if typo:
        evidence.append(
            Evidence(
                f"{CONFIG} on main", f"encrypted_regex is {repository.regex}, not {AGREED_REGEX}"
            )
        )
    for name, manifest in sorted(repository.manifests.items()):
        if not manifest.plain:
            continue
        keys, what = ", ".join(manifest.plain), _path(seen, name)
        if manifest.recipients is None:
            yield cause(
                "plaintext-secret",
                f"{what} is not encrypted at all, and Flux applies it without a word.",
                f"{what} on main",
                f"in plain text: {keys}; what was pushed counts as leaked",
                _encrypt_again(seen, name),
            )
        elif manifest.regex == AGREED_REGEX:
            yield cause(
                "plaintext-value",
                f"{what} has a value that was added in plain text.",
                f"{what} on main",
                f"in plain text: {keys}; what was pushed counts as leaked",
                _encrypt_again(seen, name),
            )
        else:
            evidence.append(
                Evidence(f"{what} on main", f"in plain text below a sops block: {keys}")
            )
    if evidence:
        steps = [seen.chapter.restore(CONFIG)] if typo else []
        steps += [seen.chapter.encrypt_again] if len(evidence) > len(steps) else []
        yield Cause(
            "encrypted-regex-typo",
            "encrypted_regex does not cover the values: sops leaves them in plain text, and Flux"
            " applies that without a word.",
            tuple(evidence),
            " && ".join(steps),
        )


def examine_list(seen: Seen) -> Iterator[Cause]:
    """Yield why what is encrypted is not what Flux applies."""
    repository, chapter = known(seen.repository), seen.chapter
    if repository.main is None:
        return
    what = f"{chapter.kustomization} on main"
    if not repository.files:
        yield cause(
            "folder-missing",
            f"The folder {chapter.folder} that Flux applies is not on main.",
            f"repository {seen.environment.repository}",
            f"main has no file below {chapter.folder}",
            chapter.restore(chapter.folder),
        )
        return
    if repository.kustomization is None:
        yield cause(
            "list-missing",
            f"{chapter.kustomization} is gone, so Flux applies whatever lies in the folder.",
            what,
            "is not there",
            chapter.restore(chapter.kustomization),
        )
        return
    resources = read_list(repository.kustomization)
    if resources is None:
        yield cause(
            "list-invalid",
            f"{chapter.kustomization} is not valid, so Flux can build nothing.",
            what,
            "is no YAML with a list of resources",
            chapter.at_work("sopslab validate"),
        )
        return
    absent = [name for name in resources if "/" not in name and name not in repository.files]
    for name in absent:
        yield cause(
            "listed-file-missing",
            f"{chapter.kustomization} lists a file that is not there, so Flux can build nothing.",
            what,
            f"lists {name}, which is not on main",
            chapter.at_work(f"git add {chapter.folder}/{name} && git commit && git push"),
        )
    # What was never listed is an exercise that goes on.
    for name in sorted(set(repository.manifests) & set(repository.once_listed) - set(resources)):
        yield cause(
            "not-wired",
            f"{name} is encrypted and there, but not listed any more, so Flux has removed it.",
            what,
            f"listed {name} in an earlier commit, and does not now",
            chapter.at_work(f"${{EDITOR:-vi}} {chapter.kustomization}"),
        )


def read_list(kustomization: str) -> list[str] | None:
    """Return the resources of a kustomization, None if it cannot be read."""
    try:
        parsed = yaml.safe_load(kustomization)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict):
        return None
    resources = parsed.get("resources") or []
    if not isinstance(resources, list):
        return None
    return [one.removeprefix("./") for one in resources if isinstance(one, str)]


def listed_manifests(repository: Repository) -> dict[str, Manifest]:
    """Return the Secrets that Flux applies, by the name of their file."""
    resources = read_list(repository.kustomization or "") or []
    return {name: one for name, one in repository.manifests.items() if name in resources}


def _path(seen: Seen, name: str) -> str:
    return f"{seen.chapter.folder}/{name}"


def _encrypt_again(seen: Seen, name: str) -> str:
    secret = name.rpartition(".")[0]
    if secret == seen.chapter.secret:
        return seen.chapter.encrypt_again
    # Of a value that only the lab knows, there is the one that it began with.
    return seen.chapter.restore(_path(seen, name))
