"""What a reset would do to environments, without a step of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab.checks.delivery import Wanted, pending
from sopslab.checks.namespaces import in_the_way
from sopslab.checks.reset import Standing, awaited_secrets, reset_plan, saved_branch
from sopslab.config.environment import Environment
from sopslab.incidents.leak import kept_dir, leak_dir
from sopslab.lab.observe.checkpoints import clone_state, repository_states
from sopslab.lab.observe.environments import look_into
from sopslab.model.results import Undecided

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


def plan_reset(
    settings: Settings,
    environments: Sequence[Environment],
    checkpoint: str,
) -> dict[str, list[str]]:
    """Return for each environment what a reset to a checkpoint would do to it.

    + checkpoint: `start`, `encrypted`, `wired` or `done`
    """
    lab, asked = settings.for_machine, list(environments)
    saved = saved_branch(datetime.now(UTC))
    stored = repository_states(lab, asked, checkpoint, saved)
    secrets = frozenset(awaited_secrets(checkpoint))
    try:
        seen = look_into(lab, asked)
        found = {who: in_the_way(one) for who, one in seen.items()}
        late = {
            who: tuple(pending(one, Wanted(stored[who].main, secrets))) for who, one in seen.items()
        }
    except Undecided:
        found, late = {}, {}
    return {
        one.id: reset_plan(
            Standing(
                one,
                stored[one.id],
                None if one.is_seat else clone_state(lab, one, checkpoint, saved),
                found.get(one.id),
                late.get(one.id),
                kept_dir(settings) if Path(leak_dir(settings, one.id)).is_dir() else None,
            ),
            checkpoint,
            settings.work_dir,
        )
        for one in asked
    }
