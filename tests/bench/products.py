"""The products that are measured: that of this checkout, and beside it one of an earlier commit."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sopslab.layout import PROJECT
from tests.bench.figures import BASE
from tests.cluster.lab import SOPSLAB, Lab, lab_name, run

_WORKTREES = PROJECT / "build" / "base"
# The folders of a checkout that Python imports or runs.
_SOURCES = ("sopslab", "tasks", "deploys", "inventories", "group_data")


@dataclass(frozen=True)
class Product:
    """A checkout of the product.

    `name` is the name of its profiles. `commit` is the commit that was checked out, with a mark if
    files differ from it. `key` is where its figures are in the report, "" for the present product,
    whose figures are at the top.
    """

    name: str
    commit: str
    program: str
    key: str = ""

    @property
    def python(self) -> str:
        """The interpreter of the product's environment."""
        return str(Path(self.program).with_name("python"))

    def lab(self, purpose: str, folder: Path) -> Lab:
        """Return a lab for the product's commands, which is not up yet."""
        ending = f"-{self.key}" if self.key else ""
        return Lab(lab_name(purpose + ending), folder / self.name, {}, program=self.program)

    def figures(self, found: dict[str, Any]) -> dict[str, Any]:
        """Return what was found of the product, as a part of the report."""
        return {self.key: found} if self.key else found


def present() -> Product:
    """Return the product as it is in this checkout."""
    commit = run(["git", "rev-parse", "--short=12", "HEAD"], cwd=PROJECT).stdout.strip()
    changed = run(["git", "status", "--porcelain", "--untracked-files=no"], cwd=PROJECT).stdout
    product = Product("now", f"{commit}{' and changes' if changed else ''}", SOPSLAB)
    _compile(product, PROJECT)
    return product


def earlier(revision: str) -> Product:
    """Return the product of an earlier commit. It gets a worktree in build/base with an environment
    of its own, which the next bench uses again, and the store is filled with what the commit pins.

    Raises AssertionError if there is no such commit.

    + revision: any name of a commit that git knows
    """
    words = ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    found = run(words, cwd=PROJECT, check=False)
    if found.returncode:
        raise AssertionError(f"BASE={revision} is no commit that git knows here")
    commit = found.stdout.strip()
    folder = _WORKTREES / commit[:12]
    if not folder.exists():
        # `--force`, because Git may still know the worktree, if `build` was removed since.
        words = ["git", "worktree", "add", "--force", "--quiet", "--detach", str(folder), commit]
        run(words, cwd=PROJECT)
    # SOPSLAB_VENV may name the environment of this checkout.
    run(["make", f"PYTHON={sys.executable}", "SOPSLAB_VENV=", ".venv/.requirements"], cwd=folder)
    product = Product("before", commit[:12], str(folder / ".venv" / "bin" / "sopslab"), BASE)
    _compile(product, folder)
    run([product.program, "fetch"])
    return product


def _compile(product: Product, folder: Path) -> None:
    """Compile the modules of a checkout, so that no run does that while it is measured."""
    run([product.python, "-m", "compileall", "-q", *_SOURCES], cwd=folder)
