"""The learner's clone, asked with Git, and the chapter's file in it.

What sops decrypts exists in this process only: each value becomes its SHA-256 at once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from sopslab.checks.verification.repository import (
    HOOK_CONFIG,
    Commit,
    History,
    Hooks,
    Opened,
    Push,
    Relation,
    SecretFile,
)
from sopslab.config.settings import Settings
from sopslab.course.chapter import UP, Chapter
from sopslab.errors import LabError
from sopslab.lab.incidents.platform import read_incidents
from sopslab.lab.observe.keys import key_file
from sopslab.lab.tools.programs import Answer, ask, clean_environment, git_environment
from sopslab.layout import TEMPLATES
from sopslab.model.results import Undecided
from sopslab.policy import callers, documents, sops
from sopslab.policy.findings import Report, key_path

# Exit codes of sops (getsops/sops, cmd/sops/codes/codes.go).
_NO_KEY, _MAC_MISMATCH = 128, 51
_RUNS_PRE_COMMIT = re.compile(r"^[^#\n]*\bpre[-_]commit\b", re.MULTILINE)


def find_work(settings: Settings, folder: Path) -> Path:
    """Return the clone of the learner's repository around `folder`, or the lab's own.

    Raises Undecided if there is neither.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top.code == 0:
        origin = _git(folder, "config", "--get", "remote.origin.url")
        ours = f"{settings.git_base_url}/{settings.learner_repository}"
        if origin.code == 0 and _plain(origin.text) == _plain(ours):
            return Path(top.text)
    work = Path(settings.work_dir)
    if not (work / ".git").exists():
        raise Undecided(f"there is no clone at {work}", UP)
    return work


def _plain(url: str) -> tuple[str, str]:
    """Return host and path of a URL, as they are compared."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2], parts.path.rstrip("/").removesuffix(".git")


def _git(work: Path, *arguments: str) -> Answer:
    return ask(["git", "-C", str(work), *arguments], git_environment())


def _asked(work: Path, *arguments: str) -> Answer:
    """Return what git says. Raises Undecided if it fails."""
    answer = _git(work, *arguments)
    if answer.code:
        raise Undecided(f"git {arguments[0]} failed in {work} with exit code {answer.code}")
    return answer


def read_text(file: Path) -> str | None:
    """Return the text of a file, None if it is not there."""
    try:
        return file.read_text(encoding="utf-8-sig", errors="replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise Undecided(f"{file} cannot be read: {error.strerror}") from None


def look_at_file(settings: Settings, work: Path, chapter: Chapter, *, may_open: bool) -> SecretFile:
    """Return how the chapter's file stands: the policy's view, and what is inside, by hash.

    + may_open: whether the learner's identity can be used
    """
    path = work / chapter.file
    if not os.path.lexists(path):
        return SecretFile(there=False)
    report = callers.check([str(path)])
    if report.findings or report.undecided:
        return SecretFile(report=report)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Undecided(f"{chapter.file} cannot be read: {error.strerror}") from None
    file = read_manifest(data, report)
    return (
        open_manifest(settings, settings.learner.id, file, data)
        if may_open and file.documents == 1
        else file
    )


def read_manifest(data: bytes, report: Report) -> SecretFile:
    """Return what a manifest in which the policy finds nothing says of itself, unopened."""
    parsed = documents.parse(data.decode("utf-8-sig", "replace"))
    written = [one for one in parsed.documents if not documents.is_null(one)]
    if len(written) != 1:
        return SecretFile(report=report, documents=len(written))
    named = documents.get(written[0], "metadata")
    keys = {
        key
        for field in ("data", "stringData")
        for key in documents.fields(documents.get(written[0], field))
    }
    return SecretFile(
        report=report,
        kind=documents.text_of(documents.get(written[0], "kind")),
        name=documents.text_of(documents.get(named, "name")),
        namespace=documents.text_of(documents.get(named, "namespace")),
        opened=Opened.NOT_TRIED,
        keys=frozenset(keys),
    )


def open_manifest(settings: Settings, key: str, file: SecretFile, data: bytes) -> SecretFile:
    """Return what a manifest holds, by hash, or why it cannot be opened.

    + key: the identity of the store to open it with
    """
    # Whom sops would have to ask elsewhere, it is not to ask from here.
    if sops.foreign_kinds(data.decode("utf-8-sig", "replace")):
        return replace(file, opened=Opened.NO)
    answer = ask(
        [
            str(Path(settings.bin_dir) / "sops"), "decrypt",
            "--input-type", "yaml", "--output-type", "json", "/dev/stdin",
        ],
        {
            **clean_environment(settings),
            "SOPS_AGE_KEY_FILE": str(key_file(settings, key)),
        },
        stdin=data,
    )  # fmt: skip
    if answer.code:
        reasons = {_MAC_MISMATCH: Opened.MAC, _NO_KEY: Opened.KEY}
        return replace(file, opened=reasons.get(answer.code, Opened.NO))
    try:
        secret = json.loads(answer.out)
    except ValueError:
        return replace(file, opened=Opened.NO)
    digests, misfits = digest_manifest(secret)
    return replace(file, opened=Opened.YES, digests=digests, misfits=tuple(misfits))


def digest_manifest(secret: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Return the SHA-256 of each value of a manifest, as the API server would store it.

    Second, the keys whose values it would refuse. `stringData` wins over `data`.
    """
    digests: dict[str, str] = {}
    misfits: list[str] = []
    for field in ("data", "stringData"):
        values = secret.get(field) or {}
        if not isinstance(values, dict):
            misfits.append(field)
            continue
        for key, value in values.items():
            try:
                raw = _raw(value, encoded=field == "data")
            except ValueError:
                misfits.append(key_path(field, key))
                continue
            digests[key] = hashlib.sha256(raw).hexdigest()
    return digests, misfits


def digest_live(data: Mapping[str, str]) -> dict[str, str]:
    """Return the SHA-256 of each value of a Secret in the cluster."""
    return {key: hashlib.sha256(base64.b64decode(value)).hexdigest() for key, value in data.items()}


def _raw(value: object, *, encoded: bool) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, str):
        raise ValueError("not a string")
    if not encoded:
        return value.encode()
    try:
        # Go's decoder passes over line breaks, and over nothing else.
        return base64.b64decode(re.sub(r"[\r\n]", "", value), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None


def look_at_commit(work: Path, chapter: Chapter) -> Commit:
    """Return what of the clone's secrets is committed."""
    head = _git(work, "rev-parse", "--quiet", "--verify", "HEAD^{commit}")
    if head.code:
        return Commit(None)
    status = _asked(
        work, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames",
        "--", "flux/secrets",
    )  # fmt: skip
    changes = tuple(record[3:] for record in os.fsdecode(status.out).split("\0") if record)
    blob = _git(work, "cat-file", "blob", f"HEAD:{chapter.file}")
    if blob.code:
        return Commit(head.text, changes, in_head=False)
    try:
        here = (work / chapter.file).read_bytes()
    except OSError as error:
        raise Undecided(f"{chapter.file} cannot be read: {error.strerror}") from None
    return Commit(head.text, changes, same=_lines(here) == _lines(blob.out))


def _lines(data: bytes) -> bytes:
    """Return a file as Git keeps it, whatever the line ends of the clone."""
    return data.replace(b"\r\n", b"\n")


def look_at_push(settings: Settings, work: Path, head: str) -> Push:
    """Return how HEAD stands to the branch main on the Git server."""
    branch = _git(work, "symbolic-ref", "--quiet", "--short", "HEAD").text
    account = Path(settings.account_dir(settings.learner.id), "git-credentials")
    trust = ["-c", f"http.sslCAInfo={settings.git_authority}"] if settings.git_authority else []
    answer = ask(
        [
            "git", "-c", "http.proxy=", "-c", "credential.helper=",
            *trust,
            "-c", f"credential.helper=store --file={shlex.quote(str(account))}",
            "ls-remote", "--quiet",
            f"{settings.git_base_url}/{settings.learner_repository}.git", "refs/heads/main",
        ],
        git_environment(),
        folder=work,
        patience=10,
    )  # fmt: skip
    if answer.code:
        return Push(head, branch, reached=False)
    main = answer.text.partition("\t")[0] or None
    if main is None or main == head:
        return Push(head, branch, main=main)
    if _git(work, "merge-base", "--is-ancestor", main, head).code == 0:
        return Push(head, branch, main=main, relation=Relation.AHEAD)
    # Of what was never fetched, only the Git server knows whether it builds on HEAD.
    known = _git(work, "cat-file", "-e", f"{main}^{{commit}}").code == 0
    pushed = _git(work, "merge-base", "--is-ancestor", head, main if known else "origin/main")
    relation = Relation.BEHIND if pushed.code == 0 else Relation.DIVERGED
    return Push(head, branch, main=main, relation=relation)


def look_at_history(settings: Settings, work: Path) -> History:
    """Return what the policy finds in the whole history, and the incidents on record, if any count.

    Raises Undecided where findings cannot be compared with the records.
    """
    report = callers.history(str(work))
    if not report.findings:
        return History(report)
    try:
        incidents = read_incidents(settings)
    except LabError as error:
        raise Undecided(
            f"the history holds a secret in plain text or a key, and the records cannot be read:"
            f" {str(error).splitlines()[0]}"
        ) from None
    return History(report, settings.learner_repository, tuple(incidents.values()))


def look_at_hooks(settings: Settings, work: Path) -> Hooks:
    """Return whether Git runs the lab's commit hooks in a clone."""
    # Follows core.hooksPath, as Git does.
    named = _asked(work, "rev-parse", "--git-path", "hooks/pre-commit").text
    path = work / named
    own = work.resolve() == Path(settings.work_dir).resolve()
    install = UP if own else f"cd {shlex.quote(str(work))} && pre-commit install"
    text = read_text(path)
    runs = text is not None and os.access(path, os.X_OK) and bool(_RUNS_PRE_COMMIT.search(text))
    wanted = _hooks(read_text(TEMPLATES / "learner" / HOOK_CONFIG))
    found = _hooks(read_text(work / HOOK_CONFIG))
    if wanted is None:
        raise Undecided(f"the lab's own {HOOK_CONFIG} cannot be read")
    missing = tuple(name for name, hook in wanted.items() if (found or {}).get(name) != hook)
    return Hooks(str(path), runs, found is not None, missing, install)


def _hooks(text: str | None) -> dict[str, dict[str, Any]] | None:
    """Return the local hooks of a configuration of pre-commit by id, None if it is not one."""
    try:
        repos = yaml.safe_load(text or "")["repos"]
        return {
            str(hook["id"]): hook
            for repo in repos
            if repo["repo"] == "local"
            for hook in repo["hooks"]
        }
    except (yaml.YAMLError, KeyError, TypeError):
        return None
