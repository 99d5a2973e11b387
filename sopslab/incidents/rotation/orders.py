"""What is to be done to the encrypted files of a repository. The new values are in such an order:
it travels on standard input only, and is never shown.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sopslab.config.environment import Environment
from sopslab.incidents.rotation.encrypted import Leaf
from sopslab.incidents.rotation.plan import FilePlan, VersionPlan, value_name


@dataclass(frozen=True)
class Change:
    """Which recipient leaves the files of an environment, and which one joins them.

    `old` and `new` are public keys, None where no key changes. `opener` is the identity of the
    store that opens what is encrypted to `old`, None where that is in the archive already; `holder`
    is the one that has to open the result. `gone` tells whether the old identity has left its place
    in the store.
    """

    old: str | None
    new: str | None
    opener: str | None
    holder: str
    gone: bool = True


@dataclass(frozen=True)
class NewValue:
    """A value that takes the place of one in a Secret; `fresh` tells whether it was made up."""

    leaf: Leaf
    text: str = field(repr=False)
    fresh: bool


@dataclass(frozen=True)
class NewFile:
    """An encrypted file that gets a new data key, and what else becomes of it.

    `blob` is what it is now, `recipients` are all that it is encrypted to from then on.
    """

    path: str
    blob: str
    secret: str
    recipients: tuple[str, ...]
    values: tuple[NewValue, ...]


@dataclass(frozen=True)
class NewVersion:
    """One commit on top of another; `rules` is whether `.sops.yaml` names another recipient."""

    commit: str
    rules: bool
    files: tuple[NewFile, ...]


@dataclass(frozen=True)
class Order:
    """The work on one repository: what comes after its start, and after main; None if nothing does.

    Both are the same where a learner has done nothing yet.
    """

    environment: Environment
    change: Change
    start: NewVersion | None
    main: NewVersion | None

    @property
    def fresh(self) -> list[str]:
        """The names of the values that were made up, in their order."""
        versions = [version for version in (self.start, self.main) if version is not None]
        return list(
            dict.fromkeys(
                value_name(file.secret, value.leaf)
                for version in versions
                for file in version.files
                for value in file.values
                if value.fresh
            )
        )


def draw_up(
    environment: Environment,
    change: Change,
    given: Mapping[str, str],
    *,
    start: VersionPlan | None,
    main: VersionPlan | None,
) -> Order:
    """Return the order for the plans of a repository; each new value is made up here.

    A file that start and main have in common becomes the same in both.

    + given: the values that a human gave, by NAME/KEY
    + start: the plan for the commit that a reset goes back to
    + main: the plan for main
    """
    known: dict[tuple[str, str], NewFile] = {}

    def drawn(plan: VersionPlan | None) -> NewVersion | None:
        if plan is None or plan.empty:
            return None
        for file in plan.files:
            if (file.path, file.blob) not in known:
                known[file.path, file.blob] = _new_file(file, change, given)
        files = tuple(known[file.path, file.blob] for file in plan.files)
        return NewVersion(plan.commit, plan.rules, files)

    return Order(environment, change, drawn(start), drawn(main))


def _new_file(file: FilePlan, change: Change, given: Mapping[str, str]) -> NewFile:
    # Those that it was encrypted to, with the successor.
    named = [change.new or one if one == change.old else one for one in file.recipients]
    recipients = tuple(dict.fromkeys(named))
    return NewFile(file.path, file.blob, file.secret, recipients, tuple(_values(file, given)))


def _values(file: FilePlan, given: Mapping[str, str]) -> Iterator[NewValue]:
    for leaf in file.fresh:
        yield NewValue(leaf, secrets.token_urlsafe(24), fresh=True)
    for leaf in file.given:
        yield NewValue(leaf, given[value_name(file.secret, leaf)], fresh=False)
