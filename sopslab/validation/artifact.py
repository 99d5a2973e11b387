"""Find the files of a repository that a source hands to Flux, with `flux build artifact`.

source-controller leaves out what `.sourceignore` files and `spec.ignore` list. Without either, it
leaves out images, archives and the files of CI systems (fluxcd/pkg, artifact/storage/archive.go:
SourceIgnoreFilter); it always leaves out the files of Git. Only names matter, so flux is given
empty files.
"""

from __future__ import annotations

import posixpath
import re
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sopslab.errors import LabError
from sopslab.validation import confined
from sopslab.validation.tree import Tree

IGNORE_FILE = ".sourceignore"
# fluxcd/pkg, sourceignore/sourceignore.go
_VCS = (".git/", ".gitignore", ".gitmodules", ".gitattributes")
_USUAL = (
    *("*.jpg", "*.jpeg", "*.gif", "*.png", "*.wmv", "*.flv", "*.tar.gz", "*.zip"),
    *(".github/", ".circleci/", ".travis.yml", ".gitlab-ci.yml", "appveyor.yml", ".drone.yml"),
    *("cloudbuild.yaml", "codeship-services.yml", "codeship-steps.yml"),
    *("**/.goreleaser.yml", "**/.sops.yaml", "**/.flux.yaml"),
)
_SPECIAL = re.compile(r"[][*?\\!#]")
_MAX_PATTERNS = 1000
_MAX_FILES = 200_000


def files_of(tree: Tree, ignore: str, flux: str) -> frozenset[str]:
    """Return the files of a tree that are part of the artifact.

    + ignore: what the source itself says in `spec.ignore`

    Raises LabError if flux cannot tell.
    """
    own = [*_written(tree), *_patterns(ignore)]
    if len(own) > _MAX_PATTERNS or len(tree.files) > _MAX_FILES:
        raise LabError("what Flux leaves out cannot be told: too many patterns or files")
    with tempfile.TemporaryDirectory(prefix="sopslab-validate-") as folder:
        names, artifact = Path(folder).resolve() / "names", Path(folder).resolve() / "artifact.tgz"
        names.mkdir()
        for path in tree.files:
            file = names / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        patterns = [f"--ignore-paths={_quoted(one)}" for one in (*_VCS, *(own or _USUAL))]
        command = [flux, "build", "artifact", f"--path={names}", f"--output={artifact}"]
        ran = confined.run([*command, *patterns], Path(folder))
        if ran.code or ran.refusal:
            reason = ran.refusal or f"it ended with exit code {ran.code}"
            raise LabError(f"flux build artifact cannot tell what Flux leaves out: {reason}")
        with tarfile.open(artifact) as archive:
            return frozenset(member.name for member in archive if member.isfile())


def _written(tree: Tree) -> Iterator[str]:
    """Yield the patterns of all `.sourceignore` files, rewritten for the top of the tree."""
    for path in sorted(tree.files):
        if posixpath.basename(path) == IGNORE_FILE:
            folder = posixpath.dirname(path)
            for pattern in _patterns((tree.read(path) or b"").decode("utf-8", "replace")):
                yield _at(folder, pattern) if folder else pattern


def _patterns(text: str) -> list[str]:
    lines = text.splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _at(folder: str, pattern: str) -> str:
    """Return a pattern that is written in *folder*, rewritten for the top of the tree."""
    sign, rest = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    inner = rest.lstrip("/") if "/" in rest.rstrip("/") else f"**/{rest}"
    return f"{sign}/{_SPECIAL.sub(_escaped, folder)}/{inner}"


def _escaped(match: re.Match[str]) -> str:
    return f"\\{match[0]}"


def _quoted(pattern: str) -> str:
    """Return a pattern as one field of the list that the option takes."""
    return '"' + pattern.replace('"', '""') + '"'
