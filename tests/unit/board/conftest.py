"""What the tests of the board share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest

from sopslab.config.settings import Settings
from sopslab.lab.board import AT_A_TIME
from tests.texts import write_program
from tests.unit.board.board_material import flux_object
from tests.unit.board.class_material import Class, make_class
from tests.unit.doctor.doctor_material import recorded

# The lab around the class: whatever is asked about a part of the lab, it is up.
_LAB = """#!/bin/sh
case "$*" in
*" --namespace flux-system "*) cat "$0.part" ;;
*) exec "$0.class" "$@" ;;
esac
"""
_READY = [
    recorded("node"),
    *recorded("deployments"),
    *(
        flux_object(kind, "flux-system", name)
        for kind, name in (
            ("Kustomization", "flux-system"),
            ("GitRepository", "learner"),
            ("Kustomization", "secrets-develop"),
        )
    ),
]


@pytest.fixture
def executor() -> Iterator[Executor]:
    """Return an executor that asks as many questions at a time as a look does."""
    with ThreadPoolExecutor(AT_A_TIME) as made:
        yield made


@pytest.fixture
def classroom(
    lab: Callable[..., Settings], tools: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Class]:
    """Return a function that makes a class on disk from ids, and names for some of them."""
    for name in list(os.environ):
        if name.startswith(("GIT_", "SOPS_")):
            monkeypatch.delenv(name)

    def make(ids: list[str], **names: str) -> Class:
        tools("sops", "age-keygen", "gitleaks")
        return make_class(lab(), ids, names)

    return make


@pytest.fixture
def up(
    classroom: Callable[..., Class], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Class]:
    """Return a function that makes a class on a lab that is up."""

    def make(*ids: str, **names: str) -> Class:
        made = classroom(list(ids), **names)
        folder = made.kubectl.parent
        for answer in folder.glob("kubectl.*"):
            answer.rename(folder / answer.name.replace("kubectl.", "kubectl.class."))
        made.kubectl.rename(folder / "kubectl.class")
        write_program(made.kubectl, _LAB)
        (folder / "kubectl.part").write_text(json.dumps({"items": _READY}))
        Path(made.settings.lab_kubeconfig).write_text("a: kubeconfig\n")
        docker = write_program(tmp_path / "stand-ins" / "docker", "#!/bin/sh\necho running\n")
        monkeypatch.setenv("PATH", str(docker.parent), prepend=":")
        monkeypatch.setenv("SOPSLAB_ROOT", made.settings.root)
        return made

    return make
