"""What the board answers: two pages, the part of them that changes (once, or as a stream), and two
files.

A request needs the token in its path, and one of the board's own addresses in `Host`. So a page of
somebody else cannot reach the board by a name that resolves to this machine. No request changes
anything.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sopslab.web.hub import Hub
from sopslab.web.pages import FOLDER, Pages, Variant

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""The headers of every answer."""

# The connection of a refused request is closed.
_OVER = {"Connection": "close"}
_PING = ": still there\n\n"


@dataclass(frozen=True)
class Door:
    """What lets a request in: the token, together with one of these values of `Host`."""

    token: str
    hosts: Collection[str]


def application(hub: Hub, pages: Pages, door: Door) -> ASGIApp:
    """Return the application that answers for the board."""

    async def page(request: Request) -> Response:
        made = pages.page(hub.ask(), _variant(request))
        return Response(made, media_type="text/html")

    async def main(request: Request) -> Response:
        state = hub.ask()
        mark = {"ETag": f'"{state.version}"'}
        if request.headers.get("if-none-match") == mark["ETag"]:
            return Response(status_code=304, headers=mark)
        return Response(pages.main(state, _variant(request)), 200, mark, "text/html")

    async def events(request: Request) -> Response:
        seen = request.headers.get("last-event-id") or request.query_params.get("seen", "")
        variant = _variant(request)
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        return StreamingResponse(_told(hub, pages, variant, seen), media_type="text/event-stream")

    routes = [
        Route("/", page),
        Route("/main", main),
        Route("/events", events),
        _file("board.css", "text/css"),
        _file("board.js", "text/javascript"),
    ]
    return _Guard(Starlette(routes=routes), door)


def _variant(request: Request) -> Variant:
    asked = request.query_params
    return Variant(asked.get("group"), "projector" in asked)


def _file(name: str, kind: str) -> Route:
    content = (FOLDER / name).read_bytes()

    async def answer(_request: Request) -> Response:
        return Response(content, media_type=kind)

    return Route(f"/{name}", answer)


async def _told(hub: Hub, pages: Pages, variant: Variant, seen: str) -> AsyncIterator[str]:
    """Yield the events of a stream: the part of the page that changes, whenever it does."""
    async for state in hub.states(seen):
        if state is None:
            yield _PING
        else:
            # A stream needs `data:` in front of every line of an event; `splitlines` knows every
            # line end that a stream has.
            lines = "\n".join(f"data: {line}" for line in pages.main(state, variant).splitlines())
            yield f"id: {state.version}\n{lines}\n\n"


class _Guard:
    """Passes on the requests that the door lets in, and refuses all others itself."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app, inside = self._answer(scope)
        await app(inside, receive, with_headers)

    def _answer(self, scope: Scope) -> tuple[ASGIApp, Scope]:
        """Return the application that answers a request, and the request without the token."""
        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._door.hosts:
            return PlainTextResponse("not here\n", 421, _OVER), scope
        token, slash, rest = scope["path"].removeprefix("/").partition("/")
        if not (slash and hmac.compare_digest(token.encode(), self._door.token.encode())):
            return PlainTextResponse("not found\n", 404, _OVER), scope
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("read only\n", 405, {"Allow": "GET, HEAD"}), scope
        return self._app, {**scope, "path": f"/{rest}", "raw_path": b"", "root_path": ""}
