"""What is measured: the product as it is here, and beside it the product of an earlier commit."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sopslab.layout import PROJECT
from tests.bench.figures import BASE
from tests.cluster.lab import SOPSLAB, Lab, lab_name, run

_WORKTREES = PROJECT / "build" / "base"
# What Python imports or runs of a checkout.
_SOURCES = ("sopslab", "tasks", "deploys", "inventories", "group_data")


@dataclass(frozen=True)
class Product:
    """A checkout of the product.

    `name` is what its profiles are called; `commit` is what was checked out, marked where files
    differ from it; `key` is where its figures are in the report: nowhere special for the present
    one.
    """

    name: str
    commit: str
    program: str
    key: str = ""

    @property
    def python(self) -> str:
        """The interpreter of its environment."""
        return str(Path(self.program).with_name("python"))

    def lab(self, purpose: str, folder: Path) -> Lab:
        """Return a lab on which its commands work, which is not up yet."""
        ending = f"-{self.key}" if self.key else ""
        return Lab(lab_name(purpose + ending), folder / self.name, {}, program=self.program)

    def figures(self, found: dict[str, Any]) -> dict[str, Any]:
        """Return what was found of it as a part of the report."""
        return {self.key: found} if self.key else found


def present() -> Product:
    """Return the product as it is in this checkout."""
    commit = run(["git", "rev-parse", "--short=12", "HEAD"], cwd=PROJECT).stdout.strip()
    changed = run(["git", "status", "--porcelain", "--untracked-files=no"], cwd=PROJECT).stdout
    return Product("now", f"{commit}{' and changes' if changed else ''}", SOPSLAB)


def earlier(revision: str) -> Product:
    """Return the product of an earlier commit: a worktree in build/base with an environment of its
    own, which the next bench takes again, and with the store full of what it pins.

    Raises AssertionError if there is no such commit.

    + revision: what git takes for a commit
    """
    words = ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    found = run(words, cwd=PROJECT, check=False)
    if found.returncode:
        raise AssertionError(f"BASE={revision} is no commit that git knows here")
    commit = found.stdout.strip()
    folder = _WORKTREES / commit[:12]
    if not folder.exists():
        # Git may know it still, from before `build` was removed.
        words = ["git", "worktree", "add", "--force", "--quiet", "--detach", str(folder), commit]
        run(words, cwd=PROJECT)
    run(["make", f"PYTHON={sys.executable}", ".venv/.requirements"], cwd=folder)
    product = Product("before", commit[:12], str(folder / ".venv" / "bin" / "sopslab"), BASE)
    # A first run would compile them while the clock runs.
    run([product.python, "-m", "compileall", "-q", *_SOURCES], cwd=folder)
    run([product.program, "fetch"])
    return product
