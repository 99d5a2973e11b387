"""What several operations of a run ask, they look at once, and again after a change."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pyinfra.context import ctx_host

from sopslab.config.environment import solo
from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.layout import PROJECT
from sopslab.model.identities import IdentityState
from sopslab.model.wire import encode
from sopslab.provision.operations import age, git, reencryption

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


@pytest.mark.parametrize(("recorded", "looks"), [("age1x", 1), (None, 2)])
def test_identities_are_asked_for_again_only_if_one_was_changed(
    lab: Callable[..., Settings], recorded: str | None, looks: int
) -> None:
    settings = lab()
    alone, state = solo(settings), encode(IdentityState("age1x", recorded))
    keys = dict.fromkeys([INSTRUCTOR, alone.key])
    host = Host({"identity_states": dict.fromkeys(keys, state)})
    with ctx_host.use(host):
        changed = list(age.identities._inner(settings=settings, keys=keys))
        list(reencryption.instructor._inner(settings=settings, environments=[alone]))
    assert bool(changed) is (recorded is None)
    assert host.asked.count("identity_states") == looks
