"""Ask Flux to look again, and wait until it has done what the repositories say."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping

from sopslab.checks.delivery import Ask
from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.lab.act.failures import fail
from sopslab.lab.observe.delivery import look, wanted
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.waiting import Deadline
from sopslab.layout import FLUX_NAMESPACE, RECEIVER
from sopslab.model.objects import Object, reference

EVERYTHING = (Ask.TENANT, Ask.SOURCE, Ask.OWN, Ask.RECEIVER)
_LONGEST_S = 60
# How often Flux is asked again: otherwise, what failed for a reason that is gone would wait until
# Flux tries again by itself.
_AGAIN_S = 2
# How long a Kustomization that is about to apply what was read is not asked: a request would
# interrupt it, and it would report that.
_LATE_S = 10


def reconcile(lab: Lab, environments: list[Environment], secrets: list[str]) -> None:
    """Wait until Flux has done what the repositories say now; record a failure for each learner for
    whom this takes more than a minute.

    + secrets: names of the Secrets that have to be in every environment
    """
    goal = wanted(lab, environments, secrets)
    found = look(lab, goal, environments)
    # An environment that seems to have everything was passed here because its Secrets are not the
    # right ones.
    ask(
        lab,
        {
            one: [each.ask for each in found[one.id] if each.ask] if found[one.id] else [Ask.OWN]
            for one in environments
        },
    )
    deadline, again, late = Deadline(_LONGEST_S), Deadline(_AGAIN_S), Deadline(_LATE_S)
    while True:
        # Flux takes a moment, and looking at many environments takes processor time that it needs.
        time.sleep(1 if len(environments) > 5 else 0.3)
        found = look(lab, goal, environments)
        open_ones = [one for one in environments if found[one.id]]
        if not open_ones or deadline.is_over:
            break
        if again.is_over:
            again = Deadline(_AGAIN_S)
            ask(
                lab,
                {
                    one: [
                        Ask.OWN if each.ask is Ask.LATE and late.is_over else each.ask
                        for each in found[one.id]
                        if each.ask is not None
                    ]
                    for one in open_ones
                },
            )
    for one in open_ones:
        fail(lab, one.id, found[one.id][0].said)


def ask(lab: Lab, asked: Mapping[Environment, Collection[Ask]]) -> None:
    """Ask Flux to look again, now, at objects of environments."""
    objects = [
        each for environment, what in asked.items() for each in _objects(environment, set(what))
    ]
    Kubectl(lab).ask_flux(objects)


def _objects(environment: Environment, what: Collection[Ask]) -> Iterator[Object]:
    if Ask.TENANT in what and environment.is_seat:
        yield reference("Kustomization", FLUX_NAMESPACE, environment.tenant)
    if Ask.SOURCE in what:
        yield reference("GitRepository", environment.system, environment.source)
    if Ask.OWN in what:
        yield reference("Kustomization", environment.system, environment.kustomization)
    if Ask.RECEIVER in what:
        yield reference("Receiver", environment.system, RECEIVER)
