"""The Git server: whether it answers, and what guards a push to it."""

from __future__ import annotations

import base64
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO

from typing_extensions import override

from sopslab.checks.snapshot import GitServer, Guard, Part
from sopslab.config.places import Places
from sopslab.lab.tools.programs import ask, git_environment
from sopslab.layout import TEMPLATES, git_server_sources

_PATIENCE = 5  # seconds


def look_at_server(places: Places) -> GitServer:
    """Return whether the Git server answers, and the state of what guards it. Raises Undecided if
    git does not answer."""
    url = places.git_base_url
    return GitServer(url, answer(places, f"{url}/"), _guard(places))


def _guard(places: Places) -> Guard | None:
    if not places.git_embedded:
        return None
    data = Path(places.git_dir)
    return Guard(
        _hooks_path(data / "etc" / "gitconfig"),
        _hook(data / "etc" / "hooks" / "pre-receive"),
        _policy(data / "policy"),
    )


def answer(places: Places, url: str, login: tuple[str, str] | None = None) -> int | None:
    """Return the HTTP status with which a Git server answers, None if it does not answer.

    + login: a user and a password, for that server only; without them, the request is anonymous
    """
    request = urllib.request.Request(url)
    if login is not None:
        told = base64.b64encode(":".join(login).encode()).decode()
        request.add_header("Authorization", f"Basic {told}")
    try:
        # It takes long to read the certificates of all authorities.
        tls = url.startswith("https:")
        trusted = ssl.create_default_context(cafile=places.git_ca) if tls else None
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=trusted),
            _Redirects(),
        )
        with opener.open(request, timeout=_PATIENCE) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except (OSError, HTTPException, ValueError):
        return None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but takes the login to no other server."""

    @override
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and following.host != req.host:
            following.remove_header("Authorization")
        return following


def _hooks_path(file: Path) -> str | None:
    found = ask(
        ["git", "config", "--file", str(file), "--get", "core.hooksPath"], git_environment()
    )
    return found.text if found.code == 0 else None


def _hook(file: Path) -> Part:
    part = _compare(file, TEMPLATES / "git" / "hooks" / "pre-receive")
    if part is Part.SAME and not file.stat().st_mode & 0o111:
        return Part.OTHER
    return part


def _policy(delivered: Path) -> Part:
    parts = {_compare(delivered / path, file) for path, file in git_server_sources().items()}
    if parts == {Part.SAME}:
        return Part.SAME
    return Part.MISSING if parts == {Part.MISSING} else Part.OTHER


def _compare(file: Path, ours: Path) -> Part:
    try:
        return Part.SAME if file.read_bytes() == ours.read_bytes() else Part.OTHER
    except OSError:
        return Part.MISSING
