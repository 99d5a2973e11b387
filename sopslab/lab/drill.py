"""The look at what a drill is scored by: the records, main, and the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sopslab.checks.drill import Seen, exposed_for_ever, score
from sopslab.config.environment import Environment
from sopslab.incidents.closing import Use
from sopslab.incidents.leak import PATH, SECRET, covering
from sopslab.lab.incidents.values import secrets_on_main, uses_in_cluster, uses_on_main
from sopslab.lab.observe.cluster import secrets_in
from sopslab.lab.observe.incidents import read_incidents
from sopslab.lab.observe.secret_files import read_manifest
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.drills import Staged
from sopslab.model.results import Result, Undecided

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


@dataclass(frozen=True)
class Score:
    """How far each step of a drill is, and what stays exposed for ever."""

    steps: list[Result]
    exposed: list[str]


def score_of(settings: Settings, environment: Environment, staged: Staged) -> Score:
    """Return how a drill that is staged in an environment stands.

    Raises LabError where what is on record cannot be read.
    """
    seen = look(settings, environment, staged)
    return Score(score(seen), list(exposed_for_ever(seen)))


def look(settings: Settings, environment: Environment, staged: Staged) -> Seen:
    """Return how a drill stands. Raises LabError where the records cannot be read."""
    exposed = frozenset({staged.digest})
    trouble: dict[str, Undecided] = {}
    main: frozenset[str] | None = None
    uses: list[Use] = []
    live: frozenset[str] | None = None
    live_uses: list[Use] = []
    try:
        files = secrets_on_main(settings, environment)
        if PATH in files:
            manifest = read_manifest(files[PATH])
            main = frozenset[str]() if manifest is None else frozenset(manifest.keys)
        uses = list(uses_on_main(settings, environment, files, exposed))
    except Undecided as reason:
        trouble["rotated"] = reason
    try:
        found = secrets_in(Kubectl(settings), environment.namespace)
        live = frozenset(found[SECRET].keys) if SECRET in found else None
        live_uses = list(uses_in_cluster(environment, found, exposed))
    except Undecided as reason:
        trouble["live"] = reason
    incident = covering(environment.repository, staged.leak, read_incidents(settings).values())
    return Seen(environment, staged, incident, main, uses, live, live_uses, trouble)
