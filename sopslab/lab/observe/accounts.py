"""The accounts with which users log in to the Git server, without their passwords."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.tools import files
from sopslab.model.accounts import Accounts

LOCK = "!"
"""What stands before a hash that is not to be compared with: no password has such a one."""


def known_accounts(lab: Lab) -> Accounts:
    """Return who has an account of the embedded Git server."""
    folder = Path(lab.git_dir, "credentials")
    listed = (files.read(Path(lab.git_dir, "htpasswd")) or b"").decode("utf-8", "replace")
    lines = [line.partition(":") for line in listed.splitlines()]
    return Accounts(
        complete=tuple(
            user
            for user, _, kept in lines
            if _is_hash(kept.removeprefix(LOCK)) and _has(folder / user)
        ),
        moved=tuple(
            one.name
            for one in files.entries(folder)
            if not one.name.startswith(".") and _has_moved(lab, one)
        ),
        locked=tuple(user for user, _, kept in lines if kept.startswith(LOCK)),
        listed=tuple(user for user, _, kept in lines if _is_hash(kept.removeprefix(LOCK))),
    )


def stored_accounts(lab: Lab, users: list[str]) -> dict[str, str]:
    """Return, for each user whose account is stored, its digest, as `account_digest` computes
    it."""
    folders = {user: Path(lab.account_dir(user)) for user in users}
    return {
        user: account_digest(*(_text(folder / part) for part in ("username", "password")))
        for user, folder in folders.items()
        if _has(folder)
    }


def account_digest(username: str, password: str) -> str:
    """Return the SHA-256 of an account: what a look is given may be in a log, so it is no
    password."""
    return hashlib.sha256(f"{username}\n{password}".encode()).hexdigest()


def _text(path: Path) -> str:
    return (files.read(path) or b"").decode("utf-8", "replace").rstrip("\n")


def _is_hash(text: str) -> bool:
    return text.startswith("$2")


def _has(account: Path) -> bool:
    return all(files.has_content(account / part) for part in ("username", "password"))


def _has_moved(lab: Lab, account: Path) -> bool:
    said = (files.read(account / "git-credentials") or b"").decode("utf-8", "replace")
    login, ended, _ = said.partition("\n")
    if not ended:
        return False
    scheme, _, server = lab.git_base_url.partition("://")
    address, _, port = server.rpartition(":")
    # Where git has used a login, it has stored it again in its own way.
    ways = (f"@{server}", f"@{address}%3a{port}")
    return not (login.startswith(f"{scheme}://") and login.endswith(ways))
