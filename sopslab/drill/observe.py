"""What the drill's score is made of, looked at: the records, main, and the cluster."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sopslab.drill.leak import PATH, SECRET, Staged, covering, read_staged
from sopslab.drill.score import Seen, exposed_for_ever, score
from sopslab.environment import Environment
from sopslab.errors import LabError
from sopslab.incidents.closing import Use
from sopslab.incidents.platform import read_incidents
from sopslab.incidents.values import live_digests, secrets_on_main, uses_in_cluster, uses_on_main
from sopslab.policy.findings import Report
from sopslab.settings import Settings
from sopslab.verification.observation.repository import read_manifest
from sopslab.verification.results import Result, Status, Undecided


@dataclass(frozen=True)
class Score:
    """The steps of a drill as results beside others, and what stays exposed for ever."""

    steps: list[Result] = field(default_factory=list)
    exposed: list[str] = field(default_factory=list)


def score_staged(settings: Settings, environment: Environment) -> Score:
    """Return how a drill stands, with `drill-` before the id of each step; nothing without one."""
    try:
        staged = read_staged(settings, environment.learner.id)
        if staged is None:
            return Score()
        seen = look(settings, environment, staged)
    except LabError as error:
        return Score([Result("drill", Status.UNKNOWN, str(error), "", 0.0)])
    steps = [replace(step, id=f"drill-{step.id}") for step in score(seen)]
    return Score(steps, list(exposed_for_ever(seen)))


def look(settings: Settings, environment: Environment, staged: Staged) -> Seen:
    """Return how a drill stands. Raises LabError where the records cannot be read."""
    exposed = frozenset({staged.digest})
    trouble: dict[str, Undecided] = {}
    main: frozenset[str] | None = None
    uses: list[Use] = []
    live: frozenset[str] | None = None
    live_uses: list[Use] = []
    try:
        files = dict(secrets_on_main(settings, environment))
        if PATH in files:
            main = frozenset(read_manifest(files[PATH], Report()).keys)
        uses = list(uses_on_main(settings, environment, exposed))
    except Undecided as reason:
        trouble["rotated"] = reason
    try:
        found = live_digests(settings, environment.namespace)
        live = frozenset(found[SECRET]) if SECRET in found else None
        live_uses = list(uses_in_cluster(settings, environment, exposed))
    except Undecided as reason:
        trouble["live"] = reason
    incident = covering(environment.repository, staged.leak, read_incidents(settings).values())
    return Seen(environment, staged, incident, main, uses, live, live_uses, trouble)
