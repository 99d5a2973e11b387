"""Prove that what leaked opens nothing any more, by trying it."""

from __future__ import annotations

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act.failures import attempt
from sopslab.lab.tools import sops
from sopslab.model.rotation import Attempt
from sopslab.policy.sops import foreign_kinds


def prove(lab: Lab, attempts: list[Attempt]) -> None:
    """Try to open files; a learner fails if sops does not end as it has to with one of them.

    No other failure is a proof: a sops that is not there opens nothing either.
    """
    for one in attempts:
        with attempt(lab, one.learner, one.what):
            _try(lab, one)


def _try(lab: Lab, one: Attempt) -> None:
    # What a learner writes must not make this machine connect anywhere.
    if foreign_kinds(one.content):
        raise LabError("sops would ask others than age about it")
    code = sops.attempt(lab, one.identity, one.content.encode()).code
    if code != one.right:
        raise LabError(f"sops ended with {code} instead of {one.right}")
