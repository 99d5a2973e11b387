"""What a report asks for depends on where the parts of a lab are."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sopslab.config.settings import Settings
from sopslab.lab.observe.scopes import Scope
from sopslab.lab.support import collecting
from sopslab.lab.support.collecting import Piece, collect, pieces
from sopslab.lab.support.coverage import Coverage
from tests.texts import write_program

ELSEWHERE = {"cluster_provider": "existing", "kubeconfig": "/k", "context": "prod"}
IN_CLUSTER = {
    **ELSEWHERE, "registry": "r.example", "git_in_cluster": {"host": "g.example", "port": 30443}
}  # fmt: skip
NODE, CONTAINER, POD = "docker/lab-control-plane.log", "docker/lab-git.log", "cluster/git.log"


def asked(settings: Settings) -> dict[str, Piece]:
    with ThreadPoolExecutor(1) as executor:
        coverage = executor.submit(Coverage, None, [Scope()])
        return {piece.name: piece for piece in pieces(settings, executor, coverage)}


@pytest.mark.parametrize(
    ("changes", "logs"),
    [
        ({}, {NODE, CONTAINER}),
        ({**ELSEWHERE, "git_bind": "192.0.2.10"}, {CONTAINER}),
        (IN_CLUSTER, {POD}),
        ({"git_url": "https://g.example", "git_username": "u", "git_password": "p"}, {NODE}),
    ],
)
def test_logs_are_asked_for_where_their_programs_run(
    changes: dict[str, object], logs: set[str], lab: Callable[..., Settings]
) -> None:
    assert asked(lab(**changes)).keys() & {NODE, CONTAINER, POD} == logs


def test_the_git_servers_pod_is_asked_for_what_it_has_said(lab: Callable[..., Settings]) -> None:
    settings = lab(**IN_CLUSTER)
    write_program(Path(settings.bin_dir, "kubectl"), '#!/bin/sh\necho "$@"\n')
    said = asked(settings)[POD].look().decode()
    assert "--namespace sops-lab-git-lab logs git-0 " in said


def test_the_cluster_is_asked_with_all_that_a_program_for_its_login_needs(
    lab: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lab(**ELSEWHERE, git_bind="192.0.2.10")
    monkeypatch.setenv("HOME", "/home/ada")
    write_program(Path(settings.bin_dir, "kubectl"), '#!/bin/sh\necho "$HOME"\n')
    assert asked(settings)["cluster/version.txt"].look() == b"/home/ada\n"


def test_what_is_too_long_is_cut_between_lines_and_no_secret_with_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = b"password: open sesame\n" * 3
    monkeypatch.setattr(collecting, "_MOST", len(said) - 15)
    monkeypatch.setattr(
        collecting, "pieces", lambda *_: [Piece("long", lambda: said), Piece("short", lambda: b"a")]
    )
    with ThreadPoolExecutor(1) as executor:
        coverage = executor.submit(Coverage, None, [Scope()])
        found = collect(settings, executor, coverage)
    assert found.files == {"long": b"password: open sesame\n" * 2, "short": b"a"}
