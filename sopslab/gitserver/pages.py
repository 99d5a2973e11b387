"""Serve the pages below ``/~``: a learner's own page and kubeconfig, and the CA's certificate.

The page and the kubeconfig need the login of the learner's card, the certificate needs none. No
repository begins with ``~``. For each learner, the lab writes a folder with a page and a kubeconfig
(`access/<id>`); a user without such a folder, for example Flux, gets nothing. How far the learner
is comes from `rows/<id>.json`, which the lab writes while the instructor has the board open.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from sopslab.course.hints import HELP
from sopslab.gitserver.plainfiles import read_plain
from sopslab.gitserver.protocol import Refused, Request, answer_head
from sopslab.gitserver.rows import learners_own, published
from sopslab.model.rows import OwnRow, OwnStep

PLACE = "<!-- row -->"
"""The text in a learner's page that is replaced by the learner's progress."""
_TOP = "/~"
_CA = f"{_TOP}/ca.crt"
_USER = re.compile(r"[a-z0-9-]{1,64}")
_STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)
_MARKS = {"yes": ("✓", "done"), "no": ("✗", "not done")}
_UNKNOWN = ("–", "not known")
_CLOSED = "<p>How far you are is shown here while your instructor has the board open.</p>\n"
# Browsers must not cache a page, guess its type, tell its address to anybody, or load it into a
# page of another origin.
_ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_POLICY = (
    "default-src 'none'; style-src {style}; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)


def is_page(request: Request) -> bool:
    """Return whether a request is for a page, and not for a repository."""
    return request.path == _TOP or request.path.startswith(f"{_TOP}/")


def is_public(request: Request) -> bool:
    """Return whether a request is answered without a login: the CA's certificate is no secret."""
    return request.path == _CA


def answer(root: Path, request: Request, user: str) -> bytes:
    """Return the whole answer to a request. Raises Refused.

    + root: the data of the Git server
    + user: who has logged in; empty if no login is needed
    """
    make = _PAGES.get(request.path)
    found = make(root, user) if make is not None else None
    if found is None:
        raise Refused("404 Not Found", "there is nothing here for you")
    if request.method not in ("GET", "HEAD"):
        raise Refused("405 Method Not Allowed", "only GET and HEAD are answered here")
    head = answer_head(
        "200 OK", {**found.headers, **_ALWAYS, "Content-Length": str(len(found.content))}
    )
    return head if request.method == "HEAD" else head + found.content


@dataclass(frozen=True)
class _Found:
    content: bytes
    headers: Mapping[str, str]


def _page(root: Path, user: str) -> _Found | None:
    page = _own(root, user, "page.html")
    if page is None:
        return None
    style = _STYLE.search(page)
    allowed = "'none'" if style is None else f"'sha256-{_digest(style[1])}'"
    row = published(root / "rows" / f"{user}.json")
    shown = _CLOSED if row is None else _row(row, user, time.time())
    return _Found(
        page.replace(PLACE.encode(), shown.encode(), 1),
        {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": _POLICY.format(style=allowed),
        },
    )


def _digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def _kubeconfig(root: Path, user: str) -> _Found | None:
    return _file(_own(root, user, "kubeconfig"), "application/yaml", "kubeconfig")


def _ca(root: Path, _user: str) -> _Found | None:
    return _file(read_plain(root / "access" / "ca.crt"), "application/x-pem-file", "ca.crt")


def _file(content: bytes | None, kind: str, name: str) -> _Found | None:
    if content is None:
        return None
    headers = {"Content-Type": kind, "Content-Disposition": f'attachment; filename="{name}"'}
    return _Found(content, {**headers, "Content-Security-Policy": "default-src 'none'"})


_PAGES: Mapping[str, Callable[[Path, str], _Found | None]] = {
    _TOP: _page,
    f"{_TOP}/": _page,
    f"{_TOP}/kubeconfig": _kubeconfig,
    _CA: _ca,
}


def _own(root: Path, user: str, name: str) -> bytes | None:
    # A user is always one in `htpasswd`. Even so, a name that cannot be a folder's gets nothing.
    return read_plain(root / "access" / user / name) if _USER.fullmatch(user) else None


def _row(row: OwnRow, user: str, now: float) -> str:
    """Return a learner's progress as HTML; `now` is in seconds since 1970."""
    parts = [f"<ol class=steps>\n{''.join(map(_step, row.steps))}</ol>\n"]
    asked, seen = _ago(row.asked, now), _ago(row.seen, now)
    if row.open is None:
        parts.append("<p class=next>All is done.</p>\n")
    else:
        parts.append(f"<p class=next><bdi>{escape(row.next)}</bdi></p>\n")
        parts.append(_command(row, user))
    if asked:
        parts.append(
            f"<p class=asked>You have asked for help ({asked}). To take that back:</p>\n"
            f"<pre><code>{HELP}</code></pre>\n"
        )
    if seen:
        parts.append(f"<p class=seen>The last change was seen {seen}.</p>\n")
    return "".join(parts)


def _step(step: OwnStep) -> str:
    mark, word = _MARKS.get(step.progress, _UNKNOWN)
    stuck = ", and something is in the way" if step.stuck else ""
    return (
        f"<li><span aria-hidden=true>{mark}</span> <bdi>{escape(step.id)}</bdi>"
        f" <small>{word}{stuck}</small></li>\n"
    )


def _command(row: OwnRow, user: str) -> str:
    if not row.fix:
        return ""
    if own := learners_own(row.fix, user):
        return f"<pre><code>{escape(own)}</code></pre>\n"
    if row.asked is not None:
        # The learner has asked already: the same push would take that back.
        return "<p>Your instructor can help with that.</p>\n"
    told = "Your instructor can help with that. To ask for it:"
    return f"<p>{told}</p>\n<pre><code>{HELP}</code></pre>\n"


def _ago(moment: float | None, now: float) -> str:
    """Return in words how long ago a moment was; empty for None and for the future."""
    if moment is None or not 0 < moment <= now:
        return ""
    minutes = int((now - moment) // 60)
    if minutes < 1:
        return "less than a minute ago"
    if minutes < 120:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago"
