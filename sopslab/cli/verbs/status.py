"""`sopslab status`: what is up, and each learner's progress."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from sopslab.checks.causes import meaning
from sopslab.checks.delivery import Why, applied_revision, in_words, read_revision, standing
from sopslab.checks.rules.objects import kustomization, source, tenant
from sopslab.checks.snapshot import Trouble
from sopslab.cli import board as show
from sopslab.cli.console import Console
from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import settings_or_exit
from sopslab.config.enrolled import read_enrolled
from sopslab.config.environment import at_seat, solo
from sopslab.config.naming import git_server_name, node_name
from sopslab.errors import Exit, LabError
from sopslab.lab.observe.environments import look_in
from sopslab.lab.tools.docker import ask_docker
from sopslab.layout import FLUX_NAMESPACE, NAMESPACE
from sopslab.model.objects import Object, condition
from sopslab.model.results import Undecided

if TYPE_CHECKING:
    from sopslab.checks.board.steps import Row
    from sopslab.config.settings import Settings

_PATIENCE = 10  # seconds for docker
_AT_A_TIME = 8  # questions; each of them mostly waits for a process
_EVERY = 3.0  # seconds between two looks
_WIDTH = 160  # columns, where no terminal says how many

Part = dict[str, object]


@dataclass(frozen=True)
class Found:
    """One look: the parts of the lab, and a row for each learner of a class."""

    parts: list[Part]
    rows: list[Row]

    @property
    def up(self) -> bool:
        """Whether all of the lab is up, and each seat has what the lab owes it."""
        return all(part["up"] for part in self.parts) and not any(row.broken for row in self.rows)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--csv", "as_csv", is_flag=True, help="Print one line per learner of a class.")
@click.option("--watch", is_flag=True, help="Look again every few seconds, until Ctrl-C.")
def status(as_json: bool, as_csv: bool, watch: bool) -> None:
    """Show which parts of the lab are up, and of a class, each learner's progress.

    A class has one line per learner: the steps that are done (✓), not done (✗) and not known (–),
    and what comes next. They are read on the Git server and in the cluster, so what a learner has
    not pushed does not show. Who asks for help (`git push origin HEAD:help`) is shown with the
    minutes since then.

    Exits 0 if the lab is up; 1 if a part of it is not, or a seat lacks what the lab owes it:
    access, key or source. A learner's progress makes no difference.
    """
    console = Console()
    if as_json + as_csv + watch > 1:
        raise click.UsageError("--json, --csv and --watch exclude each other")
    if watch and not console.is_terminal:
        raise click.UsageError("--watch needs a terminal")
    settings = settings_or_exit()
    try:
        with ThreadPoolExecutor(_AT_A_TIME) as executor:
            look = _looks(settings, executor)
            if watch:
                _watch(look, console)
            found = look()
    except LabError as error:
        echo(str(error), err=True)
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    if as_json:
        answer: dict[str, object] = {"lab": settings.lab, "up": found.up, "parts": found.parts}
        if found.rows:
            answer["class"] = show.as_dicts(found.rows)
        echo_json(json.dumps(answer, indent=2))
    elif as_csv:
        echo(show.as_csv(found.rows), nl=False)
    else:
        _print(found, console)
    sys.exit(Exit.OK if found.up else Exit.FAILED)


def _looks(settings: Settings, executor: Executor) -> Callable[[], Found]:
    """Return a function that looks; what it has seen once helps it the next time."""
    # All that looks and judges: help does without.
    from sopslab.checks.board.judge import judge
    from sopslab.lab.observe.observer import Observer

    observer = Observer(settings, executor)

    def look() -> Found:
        containers = [executor.submit(part) for part in _containers(settings)]
        flux = executor.submit(_flux, settings)
        seats = read_enrolled(settings)
        seen = observer.seats(list(map(at_seat, seats))) if seats else []
        rows = [judge(seat, one) for seat, one in zip(seats, seen, strict=True)]
        return Found([*(part.result() for part in containers), *flux.result()], rows)

    return look


def _watch(look: Callable[[], Found], console: Console) -> NoReturn:
    with Live(Text("looking …", "dim"), console=console, screen=True, auto_refresh=False) as live:
        while True:
            found = look()
            lines: list[RenderableType] = [_one_line(part) for part in found.parts]
            if found.rows:
                room = console.height - len(lines) - 3
                rows = show.fitting(found.rows, console.width, room, time.time())
                lines += [Text(), rows, Text(), show.summary(found.rows)]
            live.update(Group(*lines), refresh=True)
            time.sleep(_EVERY)


def _print(found: Found, console: Console) -> None:
    for part in found.parts:
        console.print(_line(part), soft_wrap=True)
    if found.rows:
        if not console.is_terminal:
            console.width = _WIDTH
        console.print()
        now = time.time()
        console.print(show.table(found.rows, console.width, now))
        console.print()
        for text in show.details(found.rows, now):
            console.print(text, soft_wrap=True)
        console.print(show.summary(found.rows))


def _line(part: Part) -> Text:
    mark = Text("✓ ", "green") if part["up"] else Text("✗ ", "red")
    return mark + Text(f"{part['name']:<14}{part['where']}: {part['state']}")


def _one_line(part: Part) -> Text:
    line = _line(part)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _containers(settings: Settings) -> list[Callable[[], Part]]:
    """Return the questions about the lab's containers, to be asked in any order.

    Each is answered with the part's name, whether it is up, its state in words, and where it is.
    """
    questions: list[Callable[[], Part]] = []
    if settings.cluster_provider == "kind":
        node = node_name(settings.lab)
        questions.append(partial(_container, "node", node, settings.lab_context))
    if settings.git_url is None:
        server = git_server_name(settings.lab)
        address = f"{settings.git_base_url}/{settings.learner_repository}.git"
        questions.append(partial(_container, "git", server, address))
    return questions


def _container(name: str, container: str, where: str) -> Part:
    asked = ("container", "inspect", "--format", "{{.State.Status}}", container)
    try:
        answer = ask_docker(*asked, patience=_PATIENCE)
    except Undecided as reason:
        return {"name": name, "up": False, "state": reason.found, "where": where}
    state = answer.text if answer.code == 0 else "not there"
    return {"name": name, "up": state == "running", "state": state, "where": where}


def _flux(settings: Settings) -> list[Part]:
    """Return what delivers the Secrets of the learner who is here, and what makes that."""
    one = solo(settings)
    named = (
        ("kustomization", one.tenant, tenant),
        ("gitrepository", one.source, source),
        ("kustomization", one.kustomization, kustomization),
    )
    try:
        seen = look_in(settings, one)
    except Undecided as reason:
        no_cluster = reason.found == Trouble.NO_KUBECONFIG.value
        state = "not there" if no_cluster else reason.found
        return [_part(kind, name, up=False, state=state) for kind, name, _ in named]
    return [_flux_part(kind, name, find(seen)) for kind, name, find in named]


def _flux_part(kind: str, name: str, found: Object | None) -> Part:
    late = standing(found, name, NAMESPACE)
    if found is None or late is None:
        state = "not there" if found is None else f"ready, at {_revision(found)}"
        return _part(kind, name, up=late is None, state=state)
    state = {
        Why.SUSPENDED: "suspended",
        Why.UNSEEN: "its present form has not been looked at yet",
    }.get(late.why) or meaning(found["kind"], condition(found, "Ready"), name, NAMESPACE)
    return _part(kind, name, up=False, state=state)


def _part(kind: str, name: str, *, up: bool, state: str) -> Part:
    return {"name": kind, "up": up, "state": state, "where": f"{kind}/{name} in {FLUX_NAMESPACE}"}


def _revision(found: Object) -> str:
    """Return what Flux has read or applied: a commit and its branch."""
    return in_words(read_revision(found) or applied_revision(found))
