"""The board's link. The lab keeps it, so that open tabs and phones find the board again after it
was restarted."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from sopslab.config.places import Places
from sopslab.files.privatefile import write_private
from sopslab.files.render import template_environment
from sopslab.lab.tools.files import private_folder, read
from sopslab.model.wire import decoded, encode
from sopslab.web.pages import FOLDER

_BYTES = 32  # of randomness in a token


@dataclass(frozen=True)
class Link:
    """A port, and the token in the path."""

    port: int
    token: str


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(_BYTES)


def kept_link(places: Places) -> Link | None:
    """Return the link of the lab's last board, None if there is no valid one."""
    link = decoded(Link, read(_file(places)))
    fit = link is not None and 0 < link.port < 65536 and len(link.token) >= _BYTES
    return link if fit else None


def keep_link(places: Places, link: Link) -> None:
    """Keep a link, readable for this account only. Raises OSError."""
    private_folder(places.class_dir)
    write_private(_file(places), f"{json.dumps(encode(link))}\n".encode())


def doorstep(places: Places, url: str) -> Path:
    """Write a page that leads a browser on to the board, and return its path. The board's own URL
    must not be an argument of a command, where others on the machine could read it. Raises OSError.
    """
    template = template_environment(FOLDER, escaping=True).get_template("doorstep.html.j2")
    path = Path(places.class_dir, "board.html")
    write_private(path, template.render(url=url).encode())
    return path


def _file(places: Places) -> Path:
    return Path(places.class_dir, "board.json")
