"""The proof that what leaked opens nothing any more: it is tried."""

from __future__ import annotations

from sopslab.config.places import Lab
from sopslab.lab.act.failures import attempt, fail
from sopslab.lab.tools import sops
from sopslab.model.rotation import Attempt


def prove(lab: Lab, attempts: list[Attempt]) -> None:
    """Try to open files; who has one of which sops says anything but what is right, fails.

    No other failure is a proof: a sops that is not there opens nothing either.
    """
    for one in attempts:
        with attempt(lab, one.learner, one.what):
            code = sops.attempt(lab, one.identity, one.content.encode()).code
            if code != one.right:
                said = f"{one.what}: sops ended with {code} instead of {one.right}"
                fail(lab, one.learner, said)
