"""What several operations of a run ask, they look at once, and again after a change."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pyinfra.context import ctx_host

from sopslab.config.environment import solo
from sopslab.config.settings import Settings
from sopslab.layout import PROJECT
from sopslab.provision.operations import git, reencryption

SEED = str(PROJECT / "tests" / "data" / "seed")


class Host:
    """A remote host that answers each look by the name of its function. `asked` has these names."""

    name = "host"
    connector = None

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.asked: list[str] = []
        self._answers = answers

    def get_fact(self, fact: Any, what: str, order: str) -> str:
        self.asked.append(what.rpartition(".")[2])
        return json.dumps(self._answers.get(self.asked[-1], {}))

    def noop(self, reason: str) -> None:
        """Do nothing."""


@pytest.mark.parametrize(("begun", "looks"), [({"learner": []}, 1), ({}, 2)])
def test_which_environments_have_begun_is_asked_again_only_if_some_were_filled(
    lab: Callable[..., Settings], begun: dict[str, list[str]], looks: int
) -> None:
    settings, host = lab(), Host({"begun_environments": begun})
    environments = [solo(settings)]
    with ctx_host.use(host):
        filled = list(
            git.seeds._inner(
                settings=settings,
                environments=environments,
                template=SEED,
                variables={"learner": {}},
            )
        )
        list(reencryption.instructor._inner(settings=settings, environments=environments))
    assert bool(filled) is not bool(begun)
    assert host.asked.count("begun_environments") == looks
