"""How long the policy takes: on a commit of 20 files, and on a push of 1,000."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sopslab.config.inputs import local_settings
from tests.bench.products import Product
from tests.cluster.lab import run

RUNS = 5
_ZERO = "0" * 40
_FILE = """apiVersion: v1
kind: ConfigMap
metadata:
  name: settings-{number}
  namespace: develop
data:
  log-level: info
  greeting: hello number {number}
"""


def measure_policy(folder: Path, products: Sequence[Product]) -> Iterator[dict[str, Any]]:
    """Yield, as parts of the report, the median seconds of the commit hook and of the pre-receive
    hook."""
    repository = folder / "repository"
    repository.mkdir()
    head = _committed(repository)
    for product in products:
        run(["git", "read-tree", "--empty"], cwd=repository)
        push = _median(product, "pre-receive", repository, f"{_ZERO} {head} refs/heads/main\n")
        run(["git", "add", *[f"file-{number}.yaml" for number in range(20)]], cwd=repository)
        commit = _median(product, "pre-commit", repository, "")
        yield product.figures(
            {"policy": {"commit_of_20_seconds": commit, "push_of_1000_seconds": push}}
        )


def _committed(repository: Path) -> str:
    """Make a commit of a thousand files that is on no branch, and return it."""
    run(["git", "init", "--quiet", "--initial-branch=main"], cwd=repository)
    run(["git", "config", "user.name", "bench"], cwd=repository)
    run(["git", "config", "user.email", "bench@localhost"], cwd=repository)
    _write(repository, 1000)
    run(["git", "add", "--all"], cwd=repository)
    run(["git", "commit", "--quiet", "--message", "Push"], cwd=repository)
    head = run(["git", "rev-parse", "HEAD"], cwd=repository).stdout.strip()
    run(["git", "update-ref", "-d", "refs/heads/main"], cwd=repository)
    return head


def _write(repository: Path, count: int) -> None:
    for number in range(count):
        (repository / f"file-{number}.yaml").write_text(_FILE.format(number=number))


def _median(product: Product, hook: str, repository: Path, stdin: str) -> float:
    tools = local_settings().bin_dir
    programs = {"SOPSLAB_GITLEAKS": f"{tools}/gitleaks", "SOPSLAB_FLUX": f"{tools}/flux"}
    environment = {**os.environ, **programs}
    taken = []
    for _ in range(RUNS):
        started = time.monotonic()
        run(
            [product.python, "-m", "sopslab.policy", hook],
            env=environment,
            cwd=repository,
            stdin=stdin,
        )
        taken.append(time.monotonic() - started)
    return round(statistics.median(taken), 3)
