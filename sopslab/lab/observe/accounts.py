"""The accounts with which users log in to the Git server; no password is returned."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.tools import files
from sopslab.model.accounts import Accounts

LOCK = "!"
"""The prefix that locks an account: with it, the hash is not valid, so no password matches it."""


def known_accounts(lab: Lab) -> Accounts:
    """Return which users have an account on the embedded Git server."""
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
    """Return the digest of each stored account, as `account_digest` computes it, by user. A user
    without a stored account is left out."""
    folders = {user: Path(lab.account_dir(user)) for user in users}
    return {
        user: account_digest(*(_text(folder / part) for part in ("username", "password")))
        for user, folder in folders.items()
        if _has(folder)
    }


def account_digest(username: str, password: str) -> str:
    """Return the SHA-256 of an account. Looks get this instead of the password, because the
    arguments of a look may be logged."""
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
    # After using a login, git stores it again in its own spelling.
    ways = (f"@{server}", f"@{address}%3a{port}")
    return not (login.startswith(f"{scheme}://") and login.endswith(ways))
