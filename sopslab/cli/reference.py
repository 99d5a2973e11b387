"""The pages in docs/reference: Markdown, made from the code.

python -m sopslab.cli.reference
"""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from sopslab.cli import reference_defaults
from sopslab.cli.main import GROUPS, VERBS, main
from sopslab.cli.terminal import echo
from sopslab.config.defaults import explained
from sopslab.config.settings import Settings
from sopslab.course import faults
from sopslab.errors import MEANINGS, Exit
from sopslab.layout import PROJECT
from sopslab.model.steps import Step
from sopslab.policy import findings as policy
from sopslab.validation import findings as validation

FOLDER = PROJECT / "docs" / "reference"

_WIDTH = 120
# Characters that are markup in Markdown; an underscore within a word is not.
_MARKS = re.compile(r"[\\*<$]|(?<!\w)_|_(?!\w)")
_NOTICE = "<!-- Made by `make reference` from {source}: change that, not this. -->"
_LOOKED = re.compile(r"Exit code: 0 ([^,]+), 1 ([^,]+), 2 ([^.]+)\.")
# The defaults shown do not depend on the user: this is the home folder, and no variable is set.
_HOME = "/home/ada"


def verbs() -> str:
    """Return the page about every command, by purpose."""
    context = main.make_context("sopslab", [], resilient_parsing=True)
    lines = [
        _prose(main.help or ""),
        "",
        "`sopslab VERB --help` says the same as its entry here.",
    ]
    for title, group in GROUPS.items():
        lines += ["", f"## {title}", ""]
        rows = [(f"[`{verb}`](#{verb})", _prose(summary)) for verb, summary in group.items()]
        lines += _table(("verb", "what it does"), rows)
        for verb in group:
            command = main.get_command(context, verb)
            if command is not None:
                lines += _command(command, click.Context(command, context, info_name=verb))
    return "\n".join(lines)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the help of a command, and then of the commands below it."""
    path = context.command_path
    depth = len(path.split())
    pieces = [*command.collect_usage_pieces(context)]
    yield from ("", f"{'#' * (depth + 1)} {path.removeprefix('sopslab ')}", "")
    yield from ("```text", " ".join([path, *pieces]), "```", "")
    yield _paragraphs(inspect.cleandoc(command.help or ""))
    rows = [_parameter(parameter, context) for parameter in command.params]
    if rows:
        yield ""
        yield from _table(("argument, option", "what it is", "default"), rows)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _command(below, click.Context(below, context, info_name=name))


def _parameter(parameter: click.Parameter, context: click.Context) -> tuple[str, str, str]:
    about = parameter.to_info_dict()
    name, text = parameter.make_metavar(context), about["help"] or ""
    if isinstance(parameter, click.Option):
        name = (parameter.get_help_record(context) or ("",))[0]
        allowed = parameter.get_help_extra(context).get("range")
        text = f"{about['help']} ({allowed})" if allowed else about["help"]
    default = about["default"]
    known = default is not None and default is not False and default != ()
    return _code(name), _prose(text), _code(str(default)) if known else ""


def settings() -> str:
    """Return the page about every setting of a lab."""
    schema = Settings.model_json_schema()
    defaults, comments, variables = _defaults(), *explained()
    rows = []
    for name, comment in comments.items():
        default = _shown(defaults[name])
        if name in variables:
            default = f"{default}, or {_code(variables[name])}"
        rows.append((_code(name), _prose(comment), default, _allowed(schema["properties"][name])))
    lines = [
        _paragraphs(inspect.cleandoc(Settings.__doc__ or "")),
        "",
        "[operating.md](../operating.md#settings) says where they are set, and which place wins.",
        "",
        *_table(("setting", "what it is", "default", "allowed"), rows),
    ]
    for name, part in schema["$defs"].items():
        fields = [
            (_code(field), _allowed(value), "yes" if field in part["required"] else "")
            for field, value in part["properties"].items()
        ]
        lines += ["", f"## {name}", "", _paragraphs(part["description"]), ""]
        lines += _table(("field", "allowed", "needed"), fields)
    return "\n".join(lines)


def _defaults() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", reference_defaults.__name__],
        cwd=PROJECT,
        env={"HOME": _HOME},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _shown(default: object) -> str:
    """Return a default as it would be in a lab file."""
    if default in (None, [], {}):
        return "none"
    if isinstance(default, str):
        home = default.replace(f"{_HOME}/", "~/")
        return _code(home.removeprefix(f"{PROJECT}/"))
    text = yaml.safe_dump(default, default_flow_style=True, sort_keys=False, width=10**6)
    return _code(text.removesuffix("...\n").strip())


def _allowed(schema: Mapping[str, Any]) -> str:
    """Return in words what a JSON schema allows."""
    match schema:
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": [*choices]}:
            return ", or ".join(_allowed(one) for one in choices if one != {"type": "null"})
        case {"enum": [*values]}:
            return ", ".join(map(_code, values))
        case {"type": "array", "items": items}:
            return f"a list, each: {_allowed(items)}"
        case {"type": "object", "additionalProperties": values}:
            return f"a mapping, each value: {_allowed(values)}"
        case {"type": "boolean"}:
            return "`true`, `false`"
        case {"minimum": low, "maximum": high}:
            return f"{low} to {high}"
        case {"type": "integer"}:
            return "an integer"
    text = _prose(schema.get("description", "text"))
    longest = schema.get("maxLength")
    return f"{text}, at most {longest} characters" if longest else text


def exit_codes() -> str:
    """Return the page about exit codes: of runs, with the steps that end with them, and of verbs
    that only look."""
    ends: dict[Exit, list[str]] = {}
    for step in sorted(Step):
        if step is not Step.OTHER:
            ends.setdefault(step.code, []).append(step.value)
    rows = [
        (str(code.value), _prose(meaning), ", ".join(ends.get(code, [])))
        for code, meaning in MEANINGS.items()
    ]
    return "\n".join(
        [
            _paragraphs(inspect.cleandoc(Exit.__doc__ or "")),
            "",
            *_table(("code", "meaning", "steps"), rows),
            "",
            "Verbs that only look have codes of their own:",
            "",
            *_table(("verb", "0", "1", "2"), _looks()),
        ]
    )


def _looks() -> Iterator[tuple[str, ...]]:
    """Yield the verbs that only look, each with what its codes mean."""
    context = main.make_context("sopslab", [], resilient_parsing=True)
    for verb in VERBS:
        command = main.get_command(context, verb)
        if command is not None:
            yield from _codes(command, verb)


def _codes(command: click.Command, path: str) -> Iterator[tuple[str, ...]]:
    """Yield a command whose help says what its codes mean, and such commands below it."""
    found = _LOOKED.search(" ".join((command.help or "").split()))
    if found is not None:
        entry = f"[{_code(path)}](verbs.md#{path.replace(' ', '-')})"
        yield (entry, *map(_prose, found.groups()))
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _codes(below, f"{path} {name}")


def rules() -> str:
    """Return the page about the findings of the policy and of `validate`."""
    blocking = validation.BLOCKING
    return "\n".join(
        [
            "A rule's id never changes its meaning.",
            "",
            "## The policy",
            "",
            _paragraphs(inspect.cleandoc(policy.__doc__ or "")),
            "",
            f"A rule that begins with `{policy.GITLEAKS_PREFIX}` is one of gitleaks' own:",
            f"{_prose(policy.fix_of(policy.GITLEAKS_PREFIX))}.",
            "",
            *_table(
                ("rule", "what to do"),
                [(_code(rule), _prose(fix)) for rule, fix in policy.FIXES.items()],
            ),
            "",
            "## validate",
            "",
            "A blocking rule is about what keeps kustomize from building, or makes it look outside "
            "the",
            "repository.",
            "",
            *_table(
                ("rule", "what to do", "blocking"),
                [
                    (_code(rule), _prose(fix), "yes" if rule in blocking else "")
                    for rule, fix in validation.FIXES.items()
                ],
            ),
        ]
    )


def fault_list() -> str:
    """Return the page about the faults of `sopslab break`."""
    rows = [
        (
            _code(fault.id),
            _prose(fault.title),
            _prose(fault.teaches),
            _prose(fault.part.value),
            _in_class(fault),
            "yes" if fault.exposes else "",
        )
        for fault in faults.FAULTS
    ]
    titles = ("id", "what is broken", "what it teaches", "what it changes", "in a class", "a leak")
    return "\n".join(
        [_paragraphs(inspect.cleandoc(faults.__doc__ or "")), "", *_table(titles, rows)]
    )


def _in_class(fault: faults.Fault) -> str:
    if fault in faults.injectable(seat=False, in_class=True):
        return "yes"
    return "at a seat" if fault in faults.injectable(seat=True, in_class=True) else "no"


# Each page with its title and its source.
PAGES: dict[str, tuple[str, str, Callable[[], str]]] = {
    "verbs.md": ("Verbs", "the commands in sopslab/cli", verbs),
    "settings.md": ("Settings", "sopslab/config/settings.py and group_data/all.py", settings),
    "exit-codes.md": (
        "Exit codes", "sopslab/errors.py and the commands in sopslab/cli", exit_codes,
    ),
    "rules.md": (
        "Rules", "sopslab/policy/findings.py and sopslab/validation/findings.py", rules,
    ),
    "faults.md": ("Faults", "sopslab/course/faults.py", fault_list),
}  # fmt: skip


def rendered() -> dict[str, str]:
    """Return every page by the name of its file."""
    return {
        name: f"# {title}\n\n{_NOTICE.format(source=source)}\n\n{page()}\n"
        for name, (title, source, page) in PAGES.items()
    }


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (titles, ["---"] * len(titles), *rows):
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _code(text: str) -> str:
    return f"`{text}`"


def _prose(text: str) -> str:
    """Return text with markup escaped, except code between backticks."""
    return "".join(
        part if part.startswith("`") else _MARKS.sub(r"\\\g<0>", part)
        for part in re.split(r"(`[^`]*`)", re.sub(r"``([^`]+)``", r"`\1`", text))
    )


def _paragraphs(text: str) -> str:
    """Return the paragraphs of a docstring; one after `\\b` keeps its lines, as click has it."""
    return "\n\n".join(
        f"```text\n{paragraph.removeprefix(chr(8)).strip()}\n```"
        if paragraph.startswith("\b")
        else textwrap.fill(
            _prose(paragraph), _WIDTH, break_long_words=False, break_on_hyphens=False
        )
        for paragraph in text.split("\n\n")
    )


def write(folder: Path = FOLDER) -> None:
    """Write every page that differs from the one in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in rendered().items():
        page = folder / name
        if not page.exists() or page.read_text() != text:
            page.write_text(text)
            echo(f"{page} is made anew")


if __name__ == "__main__":
    write()
