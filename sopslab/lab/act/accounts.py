"""Accounts on Git servers: what each user of the lab logs in with, and the hashes against which the
embedded server checks passwords."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import bcrypt

from sopslab.config.places import Lab, Places
from sopslab.lab.observe.accounts import LOCK, known_accounts
from sopslab.lab.tools import files
from sopslab.model.passwords import essence, new_password

# No higher cost would protect 84 random bits any better, and the server checks the password at
# every request, also when a class makes a hundred clones.
_BCRYPT_COST = 5
_LOCK = LOCK.encode()


@dataclass(frozen=True)
class Account:
    """What a user of the lab logs in with."""

    user: str
    username: str
    password: str = field(repr=False)

    @property
    def hashed(self) -> str:
        """The password as the embedded server keeps it."""
        salt = bcrypt.gensalt(rounds=_BCRYPT_COST)
        return bcrypt.hashpw(essence(self.password.encode())[:72], salt).decode()

    def credential(self, places: Places) -> str:
        """Return the account's line in git's credential store."""
        scheme, _, rest = places.git_base_url.partition("://")
        server = rest.split("/", 1)[0]
        return (
            f"{scheme}://{quote(self.username, safe='')}:{quote(self.password, safe='')}@{server}"
        )


def new_account(user: str) -> Account:
    """Return an account with a new random password."""
    return Account(user, user, new_password())


def renew(lab: Lab, users: list[str]) -> None:
    """Give each of these users of the embedded Git server a new random password."""
    _write(lab, [new_account(user) for user in users])


def lock(lab: Lab, users: list[str]) -> None:
    """Lock these users out of the embedded Git server, and unlock all others. Passwords stay as
    they are."""
    path = Path(lab.git_dir, "htpasswd")
    lines = []
    for line in (files.read(path) or b"").splitlines():
        user, colon, kept = line.partition(b":")
        locked = _LOCK if user.decode("utf-8", "replace") in users else b""
        lines.append(user + colon + locked + kept.removeprefix(_LOCK) + b"\n")
    files.write(path, b"".join(lines), 0o640)


def store(lab: Lab, users: list[str], username: str, password: str) -> None:
    """Store the account with which users of the lab log in to a Git server that is not ours."""
    _write(lab, [Account(user, username, password) for user in users])


def move(lab: Lab, users: list[str]) -> None:
    """Change the address in users' stored logins to the one that the embedded Git server has now.

    The passwords stay as they are.
    """
    scheme, _, server = lab.git_base_url.partition("://")
    for user in users:
        path = Path(lab.login_file(user))
        first, newline, rest = path.read_text().partition("\n")
        moved = re.sub(r"^[a-z]*://(.*)@[^@]*$", rf"{scheme}://\1@{server}", first)
        files.write(path, moved + newline + rest)


def _write(lab: Lab, accounts: Iterable[Account]) -> None:
    made = {account.user: account for account in accounts}
    folder, kept = Path(lab.git_dir), Path(lab.git_dir, "credentials")
    with files.umask(0o077):
        kept.mkdir(parents=True, exist_ok=True)
        # Made inside this folder, because the server sees nothing of it.
        with files.new_folder(kept / "any") as new:
            for user, account in made.items():
                files.write(new / user / "username", account.username)
                files.write(new / user / "password", account.password)
                files.write(new / user / "git-credentials", f"{account.credential(lab)}\n")
            # A user who is locked stays locked, with a new password too.
            locked = dict.fromkeys(known_accounts(lab).locked, LOCK)
            lines = [
                f"{user}:{locked.get(user, '')}{account.hashed}\n".encode()
                for user, account in made.items()
            ]
            lines += _others(folder / "htpasswd", made)
            # If a run is killed here, the next run gives a password to each user without these
            # files.
            for user in made:
                files.remove(kept / user)
            # Readable by the Git server's group, which the file inherits from its folder.
            files.write(folder / "htpasswd", b"".join(lines), 0o640)
            for user in made:
                (new / user).rename(kept / user)
    _share_token(folder / "receiver")


def remove(lab: Lab, users: Iterable[str]) -> None:
    """Remove users from the embedded Git server, which lets them in no more."""
    path = Path(lab.git_dir, "htpasswd")
    files.write(path, b"".join(_others(path, users)), 0o640)


def _others(htpasswd: Path, but: Iterable[str]) -> list[bytes]:
    gone = {user.encode() for user in but}
    lines = (files.read(htpasswd) or b"").splitlines()
    return [b"%s\n" % line for line in lines if line.partition(b":")[0] not in gone]


def _share_token(folder: Path) -> None:
    """Make the token with which the server's hook signs its calls, if there is none. Flux is given
    the same token."""
    token = folder / "token"
    if files.has_content(token):
        return
    with files.umask(0o027):
        folder.mkdir(exist_ok=True)
    files.write(token, base64.b64encode(secrets.token_bytes(32)), 0o640)
