"""Facts about drills: which are staged, and whether they are on main."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.settings import Settings
from sopslab.incidents.leak import STATE, Staged, leak_dir, parse_staged
from sopslab.provision.command import lab_script
from sopslab.provision.facts.parsing import parsing


@dataclass(frozen=True)
class DrillState:
    """A drill of a learner; `on_main` is whether main holds what it staged.

    `staged` is None where the lab's own note of it cannot be read.
    """

    staged: Staged | None
    on_main: bool


class Drills(FactBase[dict[str, DrillState]]):
    """
    Returns the leaks that are staged, by the learner's id.

    .. code:: python

        {"ada": DrillState(Staged("4f1c…", "9b2d…", "77ab…", "1f3a…"), on_main=True)}
    """

    default = dict

    @override
    def command(self, settings: Settings, environments: list[Environment]) -> StringCommand:
        return lab_script(
            settings,
            """
            note=$1
            shift
            while [ $# -gt 0 ]; do
                id=$1 folder=$2 repository=$3
                shift 3
                [ -d "$folder" ] || continue
                state=$(jq --compact-output . "$folder/$note" 2>/dev/null) || state=
                leak=$(printf '%s' "$state" | jq --raw-output '.fixed // ""' 2>/dev/null) || leak=
                on=off
                if [ -n "$leak" ] && git --git-dir "$repository" merge-base --is-ancestor \\
                    "$leak" refs/heads/main 2>/dev/null; then
                    on=main
                fi
                printf '%s %s %s\\n' "$id" "$on" "$state"
            done
            """,
            STATE,
            *(
                part
                for one in environments
                for part in (
                    one.id,
                    leak_dir(settings, one.id),
                    bare_repository(settings, one),
                )
            ),
        )

    @override
    @parsing
    def process(self, output: list[str]) -> dict[str, DrillState]:
        found = {}
        for line in output:
            learner, on, state = line.split(" ", 2)
            found[learner] = DrillState(_parsed(state), on == "main")
        return found


def _parsed(state: str) -> Staged | None:
    try:
        return parse_staged(state)
    except ValueError:
        return None
