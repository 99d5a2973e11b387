"""Text that others have written, on its way to a terminal."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from collections.abc import Callable

import pytest
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sopslab.cli.console import Console
from sopslab.cli.display import Display
from sopslab.cli.terminal import echo, echo_csv, echo_json
from sopslab.model.events import Ended, Operation, Planned, Started
from sopslab.model.steps import Step
from sopslab.policy.printing import in_one_line, printable

# A title, a cleared screen, a line written over, a hyperlink, the clipboard, reversed text, an
# 8-bit control, an answer that the terminal would type, a bell, and half of a character.
HOSTILE = (
    "\x1b]0;owned\x07 \x1b[2J\x1b[H all well\rfine \x1b]8;;http://x\x1b\\\\here\x1b]8;;\x1b\\\\"
    " \x1b]52;c;cm0=\x07 \u202egpj.exe\u2066 \x9b31m \x1b[6n \x7f\x00 \udcff \u2028 \U000e0041"
)
# A style that our own code gives.
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def harmful(shown: str) -> list[str]:
    """Return the characters that a terminal would obey, or that nobody would see."""
    return [
        char
        for char in shown
        if char not in "\n\t\u200c\u200d" and unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl"}
    ]


def test_what_cannot_be_seen_is_escaped_and_nothing_else_changes() -> None:
    assert not harmful(printable(HOSTILE))
    assert printable("\x1b[2J") == "\\x1b[2J" and printable("\u202e") == "\\u202e"
    names = "Zoë Lindström, 李 小龍\u3000, سارا\u200cجون, नेहा, 👩\u200d💻\n\tfine\u00a0too"
    assert printable(names) == names
    assert printable(printable(HOSTILE)) == printable(HOSTILE)


def test_a_name_stays_in_its_line_and_a_line_has_an_end() -> None:
    assert in_one_line("a\nb: ready\tc") == "a\\nb: ready\\tc"
    shown = printable("first\n" + "x" * 1_000_000)
    assert len(shown) < 5000 and shown.endswith("… (996000 more characters)")


def print_text(console: Console) -> None:
    console.print(Text(HOSTILE, "red"), soft_wrap=True)


def print_plain(console: Console) -> None:
    console.print(f"[bold]{HOSTILE}[/bold] [link=http://x]y[/link] [/] :smile:", soft_wrap=True)


def print_table(console: Console) -> None:
    table = Table(box=None)
    table.add_column(HOSTILE)
    table.add_row(Text(HOSTILE, "dim"))
    console.print(table)


def print_live(console: Console) -> None:
    with Live(Text(HOSTILE), console=console, auto_refresh=False) as live:
        live.update(Text(HOSTILE, "bold"), refresh=True)


def print_run(console: Console) -> None:
    operation = Operation(Step.GIT, HOSTILE)
    with Display(console) as display:
        display.follow(Planned((operation,)))
        display.follow(Started(operation))
        display.follow(Ended(operation, True, True, 1.0, (HOSTILE,), (HOSTILE,)))


@pytest.mark.parametrize("way", [print_text, print_plain, print_table, print_live, print_run])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_console_shows_it_harmless_in_whatever_it_is(
    way: Callable[[Console], None], terminal: bool
) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=200, color_system="standard")
    way(console)
    # rich's Live moves the cursor by itself, so the test looks for the attacks.
    shown = out.getvalue()
    attacks = "\x1b]0; \x1b[2J \x1b]8 \x1b]52 \x1b[6n \u202e \x9b"
    assert not [attack for attack in attacks.split() if attack in shown]
    if way is not print_live and not (way is print_run and terminal):
        assert not harmful(STYLE.sub("", shown)), shown
    assert "owned" in shown


@pytest.mark.parametrize("ended", [True, False])
def test_a_step_that_failed_or_did_not_end_is_not_said_to_be_done(ended: bool) -> None:
    out = io.StringIO()
    done, last = Operation(Step.GIT, "Begin"), Operation(Step.FLUX, "Wait")
    with Display(Console(file=out)) as display:
        display.follow(Planned((done, last)))
        display.follow(Started(done))
        display.follow(Ended(done, False, False, 1.0))
        display.follow(Started(last))
        if ended:
            display.follow(Ended(last, False, True, 1.0))
    first, second = out.getvalue().splitlines()
    assert first.startswith("✓ Git ") and first.endswith("nothing to do")
    assert second.startswith("✗ Flux ") and "nothing to do" not in second


def test_brackets_are_no_markup() -> None:
    out = io.StringIO()
    Console(file=out).print("[red]a[/red] [/nonsense] :smile:")
    assert out.getvalue() == "[red]a[/red] [/nonsense] :smile:\n"


def test_what_is_echoed_is_harmless_and_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    echo(HOSTILE)
    echo(HOSTILE, err=True, nl=False)
    said = capsys.readouterr()
    assert not harmful(said.out + said.err) and "owned" in said.out and "owned" in said.err
    long = {HOSTILE: "x" * 10_000}
    echo_json(long)
    said = capsys.readouterr()
    assert not harmful(said.out) and json.loads(said.out) == long
    echo_csv(f'"{HOSTILE}","{"x" * 10_000}"\n')
    said = capsys.readouterr()
    assert not harmful(said.out) and said.out.endswith(f'","{"x" * 10_000}"\n')
