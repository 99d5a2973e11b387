"""The age identities in the lab's key store. Only public keys are returned; an identity itself goes
from its file only into a pipe."""

from __future__ import annotations

import os
from pathlib import Path

from sopslab.config.naming import next_key
from sopslab.config.places import INSTRUCTOR, Lab
from sopslab.lab.observe.keys import PublicKeys, key_file
from sopslab.lab.tools import files
from sopslab.lab.tools.private import Flaw, flaw_of
from sopslab.model.identities import IdentityState

_INVALID = "it does not hold one valid age identity: restore it from your backup"


def identity_states(lab: Lab, keys: list[str]) -> dict[str, IdentityState]:
    """Return the state of each identity. One process finds the public keys of all valid files."""
    elsewhere = _elsewhere(lab)
    paths = {key: key_file(lab, key) for key in keys if key not in elsewhere}
    flaws = {key: flaw_of(path) for key, path in paths.items() if os.path.lexists(path)}
    contents = {key: files.read(paths[key]) or b"" for key, flaw in flaws.items() if flaw is None}
    recipients: dict[str, frozenset[str]] = {}
    public = PublicKeys(lab)
    # On a bare machine there is no age-keygen yet, and no identity to look at.
    if public.can_be_asked:
        public.learn(contents.values())
        recipients = {key: public(content) for key, content in contents.items()}
    return {
        key: elsewhere[key]
        if key in elsewhere
        else _state(flaws.get(key), recipients.get(key), _recorded(paths[key]))
        for key in keys
    }


def _elsewhere(lab: Lab) -> dict[str, IdentityState]:
    """Return the state of the identities that this lab does not keep, because the instructor keeps
    them elsewhere. Files in its store make no difference."""
    recipient = lab.instructor_recipient
    if recipient is None:
        return {}
    return {
        INSTRUCTOR: IdentityState(recipient, recorded=recipient),
        next_key(INSTRUCTOR): IdentityState(),
    }


def unused_identities(lab: Lab) -> list[str]:
    """Return the files in the lab's store with identities that the lab is not supposed to keep."""
    paths = [key_file(lab, key) for key in _elsewhere(lab)]
    return [str(path) for path in paths if os.path.lexists(path)]


def _recorded(identity: Path) -> str | None:
    noted = files.read(identity.with_suffix(".pub"))
    return noted.decode("utf-8", "replace").partition("\n")[0].strip() if noted else None


def _state(
    flaw: Flaw | None, recipients: frozenset[str] | None, recorded: str | None
) -> IdentityState:
    if flaw is not None:
        return IdentityState(recorded=recorded, problem=flaw.of("it"))
    if recipients is None:
        return IdentityState(recorded=recorded)
    if len(recipients) != 1:
        return IdentityState(recorded=recorded, problem=_INVALID)
    (recipient,) = recipients
    return IdentityState(recipient, recorded)
