"""The rotation plan of a learner, with the recorded credentials and the open incidents. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from sopslab.config.environment import Environment
from sopslab.files.render import template_environment
from sopslab.incidents.credentials import Entry
from sopslab.incidents.records import Incident
from sopslab.layout import ENVIRONMENT, TEMPLATES

_TEMPLATE = "rotation-plan.md.j2"


def render_plan(
    environment: Environment, entries: Sequence[Entry], incidents: Sequence[Incident]
) -> str:
    """Return the learner's rotation-plan.md, filled in with what is known.

    + entries: credentials; used are those that are due and concern the learner
    + incidents: recorded incidents; used are those that are open and concern the learner
    """
    concerned = [one for one in incidents if one.closed is None and one.concerns(environment.id)]
    ids = {one.id for one in concerned}
    return (
        template_environment(TEMPLATES / "learner", escaping=False)
        .get_template(_TEMPLATE)
        .render(
            learner=environment.learner,
            classroom=environment.is_seat,
            environment=ENVIRONMENT,
            kustomization=environment.kustomization,
            plan={
                "incidents": concerned,
                "entries": [one for one in entries if _concerns(one, environment, ids)],
            },
        )
    )


def _concerns(entry: Entry, environment: Environment, incidents: set[str]) -> bool:
    if not entry.is_due:
        return False
    if entry.incident is not None:
        return entry.incident in incidents
    place, (_, _, owner) = entry.credential.place, entry.credential.id.partition(":")
    return owner == environment.id or (
        place is not None and place.repository == environment.repository
    )
