"""What this machine keeps of a rotation: its record, and leaked identities and passwords."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Lab, Places
from sopslab.lab.observe.keys import PublicKeys
from sopslab.lab.tools.files import has_content, read, text
from sopslab.model.results import Undecided
from sopslab.model.rotation import LoginState


def record_file(places: Places, incident: str) -> str:
    """Return the file with the record of the rotation that belongs to an incident."""
    return f"{places.lab_dir}/rotations/{incident}.yaml"


def rotation_record(lab: Lab, incident: str) -> str | None:
    """Return the record of the rotation that belongs to an incident, None if the rotation has not
    begun. Raises LabError if the record cannot be read."""
    return text(record_file(lab, incident)) or None


def archived_identities(lab: Lab) -> dict[str, str]:
    """Return the files of the archived identities, by public key."""
    folder = Path(lab.keys_dir, "archive")
    files = {path: read(path) for path in sorted(folder.glob("*.agekey")) if has_content(path)}
    known = {path: content for path, content in files.items() if content is not None}
    public = PublicKeys(lab)
    try:
        public.learn(known.values())
        return {key: str(path) for path, content in known.items() for key in public(content)}
    except Undecided:
        # Without age-keygen no identity can be used.
        return {}


def leaked_logins(lab: Lab, kept: str, users: list[str]) -> dict[str, LoginState]:
    """Return whether the leaked passwords of users of the Git server have been replaced, by user.

    + kept: the folder where leaked passwords are kept
    """
    return {user: _login(lab, Path(kept, user), user) for user in users}


def _login(lab: Lab, kept: Path, user: str) -> LoginState:
    login = read(kept)
    if not login:
        return LoginState.UNKEPT
    # git rewrites a login that it has used, so only the passwords are compared.
    password = read(Path(lab.account_dir(user), "password")) or b""
    has_it = any(line in login for line in password.splitlines())
    return LoginState.KEPT if has_it else LoginState.REPLACED
