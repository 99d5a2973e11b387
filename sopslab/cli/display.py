"""What a person sees while a run goes on: a line for each step, with its time."""

from __future__ import annotations

import time

from rich.live import Live
from rich.text import Text

from sopslab.cli.console import Console
from sopslab.model.events import Ended, Event, Operation, Planned, Started


class Display:
    """Follow a run's events on a terminal; without one, print a line for each change as it ends.

    Used as a context manager; `follow` takes the events.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._order: tuple[Operation, ...] = ()
        self._done = 0
        self._step: str | None = None
        self._operation: Operation | None = None
        self._started = self._step_started = time.monotonic()
        self._changes: list[str] = []
        self._changed = False
        self._failed = False
        self._live = Live(console=console, get_renderable=self._current, refresh_per_second=8)

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finish_step()
        self._operation = None
        self._live.stop()

    def follow(self, event: Event) -> None:
        """Take one event."""
        match event:
            case Planned():
                self._order = event.operations
            case Started():
                self._operation = event.operation
                self._started = time.monotonic()
                if event.operation.step != self._step:
                    self._finish_step()
                    self._step = event.operation.step
                    self._step_started = self._started
                # An operation that does not end, because the run is stopped, has failed.
                self._failed = True
            case Ended():
                self._done += 1
                self._failed = event.failed
                if event.changed:
                    self._tell("; ".join([event.operation.label, *event.notes]), event.seconds)

    def _tell(self, change: str, seconds: float) -> None:
        """Keep a change until its step ends; without a terminal, show it at once, because a build
        takes long."""
        self._changed = True
        if self._console.is_terminal:
            self._changes.append(change)
        else:
            place = f"[{self._done} of {len(self._order)}, {seconds:.1f} s]"
            self._console.print(Text(f"    {change}  {place}"), soft_wrap=True)

    def _finish_step(self) -> None:
        if self._step is None:
            return
        mark = Text("✗ ", "red") if self._failed else Text("✓ ", "green")
        seconds = time.monotonic() - self._step_started
        line = mark + Text(f"{self._step:<10}", "bold") + Text(f"{seconds:7.1f} s", "dim")
        nothing = "" if self._changed or self._failed else "   nothing to do"
        self._console.print(line + Text(nothing, "dim"))
        for change in self._changes:
            self._console.print(Text(f"    {change}"))
        self._step, self._changes, self._changed = None, [], False

    def _current(self) -> Text:
        if self._operation is None:
            return Text("")
        steps = list(dict.fromkeys(operation.step for operation in self._order))
        inside = [each for each in self._order if each.step == self._operation.step]
        position = inside.index(self._operation) + 1 if self._operation in inside else 0
        number = steps.index(self._operation.step) + 1 if self._operation.step in steps else 0
        elapsed = int(time.monotonic() - self._started)
        return Text.assemble(
            ("… ", "yellow"),
            (f"{self._operation.step} ", "bold"),
            (f"[step {number} of {len(steps)}, {position} of {len(inside)}] ", "dim"),
            self._operation.label,
            (f"  {elapsed // 60}:{elapsed % 60:02d}", "dim"),
        )
