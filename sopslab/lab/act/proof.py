"""Prove that what leaked opens nothing any more, by trying it."""

from __future__ import annotations

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act.failures import attempt
from sopslab.lab.tools import sops
from sopslab.model.rotation import Attempt


def prove(lab: Lab, attempts: list[Attempt]) -> None:
    """Try to open files, and record a failure for each learner with a file for which sops does not
    end with the expected exit code.

    Any other failure of sops proves nothing: if sops is missing, it opens nothing either.
    """
    for one in attempts:
        with attempt(lab, one.learner, one.what):
            _try(lab, one)


def _try(lab: Lab, one: Attempt) -> None:
    code = sops.decrypt(lab, one.identity, one.content.encode()).code
    if code == sops.NOT_STARTED:
        raise LabError("sops would ask others than age about it")
    if code != one.right:
        raise LabError(f"sops ended with {code} instead of {one.right}")
