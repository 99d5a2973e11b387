"""`sopslab board`: the class at a glance, in a browser."""

from __future__ import annotations

import signal
import sys
import threading
import webbrowser
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sopslab.cli.terminal import echo
from sopslab.cli.verbs._shared import end, format_or_exit, settings_or_exit
from sopslab.errors import Exit, LabError
from sopslab.run import lock

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


_BUSY = (
    "the board of this lab is served already, by process {holder}: use that one, or end it first"
)


@click.command()
@click.option("--open", "open_browser", is_flag=True, help="Open the page in a browser.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="N",
    help="The port to listen at. Without it, the one that this lab's board had before, or a free"
    " one.",
)
@click.option(
    "--at-git-bind",
    is_flag=True,
    help="Listen at the address where the learners reach the class, with the lab's certificate.",
)
@click.option(
    "--projector",
    is_flag=True,
    help="Print the address of the page for a wall: in large type, with initials.",
)
@click.option("--new-link", is_flag=True, help="Replace the address; the old one opens nothing.")
def board(
    open_browser: bool, port: int | None, at_git_bind: bool, projector: bool, new_link: bool
) -> None:
    """Serve a page with a row for each learner, which changes by itself, until Ctrl-C.

    Learners who ask for help come first, then those who are stuck, the longest first, with what is
    in the way and the command that helps. Whoever has the address can read the page, but change
    nothing. Only this machine reaches it, unless you say --at-git-bind.

    Meanwhile the progress of the class is recorded, and each learner's page shows their own row.
    """
    settings = settings_or_exit()
    if format_or_exit(settings) is None:
        end(
            Exit.FAILED,
            [f"there is no lab {settings.lab} on this machine: `sopslab up` makes it"],
            as_json=False,
        )
    # Imports that the help does not need.
    from sopslab.lab.board import AT_A_TIME, looks
    from sopslab.lab.observe.following import Following
    from sopslab.lab.observe.observer import Observer
    from sopslab.lab.parts import look_at_parts
    from sopslab.web.address import claim
    from sopslab.web.records import LabRecords
    from sopslab.web.server import BoardServer
    from sopslab.web.sparing import Sparing, SparingParts, news

    try:
        lock.hold(Path(settings.class_dir) / "board.lock", busy=_BUSY)
        place = claim(settings, port, at_git_bind=at_git_bind, new=new_link)
        url = f"{place.url}?projector" if projector else place.url
        with (
            place.socket,
            ThreadPoolExecutor(AT_A_TIME) as executor,
            Following(settings, executor) as cluster,
        ):
            observer = Observer(settings, executor, cluster.ask)
            parts = SparingParts(partial(look_at_parts, settings, executor))
            look = Sparing(looks(settings, observer, parts), partial(news, settings, cluster))
            records = LabRecords(settings)
            server = BoardServer(settings.lab, look, records, place.address, place.token)
            # An exit leaves the blocks, which ends the processes that follow the cluster, too.
            signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
            echo(f"The board is at {url}")
            if open_browser:
                _open(settings, url)
            server.run([place.socket])
    except LabError as error:
        end(error.code, str(error).splitlines(), as_json=False)
    except KeyboardInterrupt:
        sys.exit(Exit.OK)


def _open(settings: Settings, url: str) -> None:
    """Open a page in a browser, in a thread: some commands return only when the browser is
    closed."""
    from sopslab.web.link import doorstep

    page = doorstep(settings, url).as_uri()
    threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()
