"""The orders to change the encrypted files of a repository. An order contains the new values, so it
is passed on standard input only, and never shown.
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
    """Which recipient is removed from the files of an environment, and which one is added.

    `old` and `new` are public keys, None if no key changes. `opener` is the identity of the store
    that decrypts what is encrypted to `old`, None if it has been archived already. `holder` is the
    identity that has to decrypt the result. `gone` is whether the old identity is no longer at its
    place in the store.
    """

    old: str | None
    new: str | None
    opener: str | None
    holder: str
    gone: bool = True


@dataclass(frozen=True)
class NewValue:
    """A value that replaces one in a Secret. `fresh` is whether the lab made it up, and not a
    human."""

    leaf: Leaf
    text: str = field(repr=False)
    fresh: bool


@dataclass(frozen=True)
class NewFile:
    """An encrypted file that gets a new data key, and what else changes in it.

    `blob` is its present version, `recipients` are all recipients of the new one.
    """

    path: str
    blob: str
    secret: str
    recipients: tuple[str, ...]
    values: tuple[NewValue, ...]


@dataclass(frozen=True)
class NewVersion:
    """A new commit on top of `commit`. `rules` is whether `.sops.yaml` gets another recipient."""

    commit: str
    rules: bool
    files: tuple[NewFile, ...]


@dataclass(frozen=True)
class Order:
    """The work on one repository: a new commit on top of its start, and one on top of main; None
    where nothing changes.

    Both are the same if the learner has done nothing yet.
    """

    environment: Environment
    change: Change
    start: NewVersion | None
    main: NewVersion | None

    @property
    def fresh(self) -> list[str]:
        """The names of the values that the lab made up, each once, in their order."""
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
    """Return the order that carries out the plans of a repository. New values are made up here,
    except those that a human gave.

    A file that is the same in start and main stays the same in both.

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
    # The present recipients, with the new one in the place of the old one.
    named = [change.new or one if one == change.old else one for one in file.recipients]
    recipients = tuple(dict.fromkeys(named))
    return NewFile(file.path, file.blob, file.secret, recipients, tuple(_values(file, given)))


def _values(file: FilePlan, given: Mapping[str, str]) -> Iterator[NewValue]:
    for leaf in file.fresh:
        yield NewValue(leaf, secrets.token_urlsafe(24), fresh=True)
    for leaf in file.given:
        yield NewValue(leaf, given[value_name(file.secret, leaf)], fresh=False)
