"""The operation that resumes suspended objects of Flux."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.lab.act import suspension
from sopslab.lab.observe.objects import all_kustomizations, all_sources
from sopslab.lab.observe.suspension import suspended_among
from sopslab.model.suspension import BUILD, Suspended
from sopslab.provision.command import Commands, acting
from sopslab.provision.known import injections
from sopslab.provision.look import forget, look, recall

FAULT = "suspended-kustomization"


@operation()
def resumption(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Resume suspended sources and Kustomizations of learners. Objects that a verb of ours has
    suspended stay suspended, with a note that says which verb resumes them.

    + settings: the lab's settings
    + environments: the environments of the learners
    """
    own = {
        (one.system, name): one for one in environments for name in (one.source, one.kustomization)
    }
    objects = [*look(settings, all_sources), *recall(settings, all_kustomizations)]
    found = [one for one in suspended_among(objects) if (one.namespace, one.name) in own]
    if not found:
        host.noop("nothing is suspended")
        return
    broken = injections(settings, environments)

    def excuse(one: Suspended) -> str | None:
        """Return a sentence if a verb has suspended an object: why, and which verb resumes it.
        Return None if no verb has."""
        learner = own[one.namespace, one.name].id
        if one.by == BUILD:
            return (
                f"{one.named} is suspended because its build did not end: `sopslab reset {learner}`"
            )
        if one.by:
            return (
                f"{one.named} is suspended by a rotation that did not end: run `sopslab {one.by}`"
                " again"
            )
        if FAULT in (broken.get(learner) or {}) and one.kind == "Kustomization":
            return f"{one.named} is suspended by `sopslab break`: `sopslab fix` resumes it"
        return None

    for one in found:
        note(excuse(one) or f"{one.named} was suspended")
    wanted = [one for one in found if excuse(one) is None]
    if not wanted:
        host.noop("what is suspended stays so: the notes say what resumes it")
        return
    forget(all_kustomizations)
    yield acting(settings, suspension.resume, suspended=wanted)
