"""Leaked passwords of the Git server: kept until they are proven to be worth nothing."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.act.failures import fail, told
from sopslab.lab.observe.logins import is_of_login, refusal
from sopslab.lab.tools import files
from sopslab.model.rotation import Login


def keep(lab: Lab, folder: str, users: list[str]) -> None:
    """Keep users' present logins in a folder: they leaked, and are about to be replaced."""
    files.private_folder(folder)
    for user in users:
        files.write(Path(folder, user), Path(lab.login_file(user)).read_bytes())


def prove(lab: Lab, folder: str, logins: list[Login]) -> None:
    """Try the logins that leaked and those that replace them. A leaked login is removed if it is
    refused and its replacement works; otherwise, a failure is recorded for the learner.

    + folder: where the logins that leaked are kept
    """
    for login in logins:
        problem = _problem(lab, folder, login)
        if problem is None:
            Path(folder, login.user).unlink(missing_ok=True)
        else:
            fail(lab, login.learner, f"{login.user}: {problem}")


def _problem(lab: Lab, folder: str, login: Login) -> str | None:
    leaked = refusal(lab, Path(folder, login.user), login.repository)
    if leaked is None:
        return f"the password that leaked still opens {login.repository}"
    if not is_of_login(leaked):
        return f"the password that leaked was not refused: {told(leaked)}"
    failure = refusal(lab, lab.login_file(login.user), login.repository)
    if failure is not None:
        return f"the new password does not open {login.repository}: {told(failure)}"
    return None
