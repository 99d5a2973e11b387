"""Rules of the project that no single test would notice broken."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pyinfra.api.arguments import all_global_arguments

from sopslab.layout import PROJECT
from tests.conftest import find_tool
from tests.package import tracked
from tests.sources import operations, tree_of

SOURCES = sorted([*(PROJECT / "sopslab").rglob("*.py"), *(PROJECT / "tasks").rglob("*.py")])
GLOBAL_ARGUMENTS = {name for name, _type in all_global_arguments()} | {"name"}


def module_of(path: Path) -> ModuleType:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return importlib.import_module(".".join(parts).removesuffix(".__init__"))


OPERATIONS = operations()


def signature(name: str) -> inspect.Signature:
    """Return the signature of an operation."""
    return inspect.signature(OPERATIONS[name])


def unexplained(name: str) -> list[str]:
    """Return what is only in an operation's docstring, or only in its signature."""
    documented = re.findall(r"^\s*\+ (\w+): \S", inspect.getdoc(OPERATIONS[name]) or "", re.M)
    parameters = list(signature(name).parameters)
    return [] if documented == parameters else [*documented, "/", *parameters]


def unannotated(name: str) -> list[str]:
    """Return the parameters of an operation that have no type, and "return" if that has none."""
    types = {one.name: one.annotation for one in signature(name).parameters.values()}
    types["return"] = signature(name).return_annotation
    return [one for one, annotation in types.items() if annotation is inspect.Parameter.empty]


def test_operations_are_written_as_those_of_pyinfra() -> None:
    assert len(OPERATIONS) >= 30
    shadows = {name: set(signature(name).parameters) & GLOBAL_ARGUMENTS for name in OPERATIONS}
    assert {name: found for name, found in shadows.items() if found} == {}
    assert {name: found for name in OPERATIONS if (found := unexplained(name))} == {}
    assert {name: found for name in OPERATIONS if (found := unannotated(name))} == {}


def narrows(node: ast.Assert) -> bool:
    """Return whether an assert only tells a type checker that something is not None."""
    match node.test:
        case ast.Compare(ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]):
            return True
    return False


def test_no_code_relies_on_assert() -> None:
    asserts = [
        f"{path}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Assert) and not narrows(node)
    ]
    assert asserts == []


def test_yaml_is_read_by_the_fast_loader_or_the_strict_one() -> None:
    slow = {
        str(path.relative_to(PROJECT))
        for path in SOURCES
        if re.search(r"safe_load|SafeLoader", path.read_text(encoding="utf-8"))
    }
    assert slow == {"sopslab/config/inputfile.py", "sopslab/model/yaml_loader.py"}


# The policy, the hooks and the first program on a machine have only Python, and answer a person.
MAY_PRINT = {
    "sopslab/lab/beginning.py",
    "sopslab/cli/terminal.py",
    "sopslab/policy/callers.py",
    "sopslab/gitserver/judges.py",
    "sopslab/gitserver/receive.py",
    "sopslab/gitserver/server.py",
    # pyinfra reads their output.
    "sopslab/lab/__main__.py",
    "sopslab/lab/store/release.py",
    # It escapes what it writes.
    "sopslab/lab/tools/log.py",
}
PRINTS = {
    *("print", "click.echo", "click.secho", "click.get_text_stream", "click.get_binary_stream"),
    *("sys.stdout.write", "sys.stderr.write", "sys.stdout.buffer", "sys.stderr.buffer"),
}
PRINTERS = {
    *("rich.console.Console", "rich.print", "click.echo", "click.secho", "sys.stdout"),
    *("sys.stderr", "click.get_text_stream", "click.get_binary_stream"),
}


def test_nothing_reaches_a_terminal_but_by_the_one_way_that_escapes() -> None:
    found = {}
    for path in SOURCES:
        name, tree = str(path.relative_to(PROJECT)), tree_of(path)
        used = {ast.unparse(node) for node in ast.walk(tree) if is_name(node)}
        brought = {
            f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        if name not in MAY_PRINT and (prints := used & PRINTS | brought & PRINTERS):
            found[name] = prints
    assert found == {}


def is_name(node: ast.AST) -> bool:
    """Return whether a node is what a call names."""
    return isinstance(node, (ast.Attribute, ast.Name)) and isinstance(node.ctx, ast.Load)


SHELLS, PYTHONS = {"sh", "bash"}, {"python", "python3", "sys.executable"}
FLAG = re.compile(r"-[a-z]*c")
# Programs in strings that no test here can read, with the reason.
UNREAD = {
    # What `script` is given is found where it is called.
    ("sopslab/provision/command.py", "sh"),
    # pyinfra has made it of a command.
    ("sopslab/room/connector.py", "sh"),
    # The machine has no file of ours yet: one line reads the program from standard input.
    ("sopslab/room/delivery.py", "python"),
}


def programs() -> Iterator[tuple[Path, int, str, str | None]]:
    """Yield every program in a string, with its module, line and language; None for one that is no
    literal. It is what `script` is given, another text of many lines in a call of a fact or an
    operation, or what a command line passes to a shell or to Python."""
    for path in SOURCES:
        for node in ast.walk(tree_of(path)):
            found = list(passed(node))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id == "script":
                    found.append(("sh", node.args[0]))
                elif path.parts[-2] in {"facts", "operations"}:
                    long = [one for one in node.args if "\n" in (text_at(one, path) or "")]
                    found += [("sh", one) for one in long]
            for language, program in found:
                yield path, program.lineno, language, text_at(program, path)


def text_at(node: ast.expr, path: Path) -> str | None:
    """Return the text of an expression in a module, None if it is no literal."""
    return constant(node, vars(module_of(path)))


def passed(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the program that a command line passes as a word, as in `sh -euc PROGRAM`, with its
    language. A command line is a list, a tuple, or the arguments of a call."""
    words: list[ast.expr] = []
    if isinstance(node, ast.List | ast.Tuple):
        words = node.elts
    elif isinstance(node, ast.Call):
        words = node.args
    language = None
    for number, word in enumerate(words[:-1]):
        match word:
            case ast.Constant(value=str(text)):
                pass
            case ast.Attribute(value=ast.Name(id="sys"), attr="executable"):
                text = "sys.executable"
            case _:
                continue
        if text in SHELLS:
            language = "sh"
        elif text in PYTHONS:
            language = "python"
        elif language is not None and FLAG.fullmatch(text):
            yield language, words[number + 1]
            return


def constant(node: ast.expr, namespace: dict[str, Any]) -> str | None:
    """Return the text that literals and a module's constants make together, or None."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if isinstance(namespace.get(name), str):
            return str(namespace[name])
        case ast.BinOp(left=left, right=right, op=ast.Add()):
            texts = constant(left, namespace), constant(right, namespace)
            return None if None in texts else "".join(filter(None, texts))
    return None


SHELL = {
    f"{path.parts[-2]}-{path.stem}-{line}": text
    for path, line, language, text in programs()
    if language == "sh" and text is not None
}
SHEBANG = re.compile(rb"#!.*\b(ba|da)?sh\b")


PROGRAM = re.compile(
    r"\b(jq|awk|while|until|for|case|function)\b|\w+ ?\(\)|<<-?['\"]?\w|\bpython\b"
)


@pytest.mark.parametrize("name", SHELL)
def test_no_program_is_in_a_string(name: str) -> None:
    """What exceeds ten lines, decides in loops or defines functions is Python, or a file."""
    text = SHELL[name].strip()
    assert len(text.splitlines()) <= 10
    assert PROGRAM.search(re.sub(r"(?m)^\s*#.*$", "", text)) is None


def test_every_program_in_a_string_is_shell_that_can_be_read() -> None:
    found = {
        (str(path.relative_to(PROJECT)), language)
        for path, _, language, text in programs()
        if language != "sh" or text is None
    }
    # In both directions: a program that can be read by now must leave the list.
    assert found == UNREAD
    assert {"room-seat", "observe-kind"} <= {name.rpartition("-")[0] for name in SHELL}


def test_every_shell_script_passes_shellcheck(tmp_path: Path) -> None:
    assert SHELL
    files = []
    for name, text in SHELL.items():
        file = tmp_path / f"{name}.sh"
        # `sh -eu`, as `sopslab.provision.command.script` runs it.
        file.write_text(f"set -eu\n{text}")
        files.append(file.name)
    done = subprocess.run(
        [
            find_tool("shellcheck"),
            "--shell=dash",
            "--severity=warning",
            "--format=gcc",
            # A library sets variables that not each of its users reads.
            "--exclude=SC2034",
            *files,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
    assert done.returncode == 0


def shell_files() -> list[Path]:
    """Return the files of shell. Templates are none before they are rendered, and those of
    tests/data have mistakes on purpose."""
    return [
        path
        for path in tracked_files()
        if (path.suffix == ".sh" or SHEBANG.match(path.read_bytes()))
        and path.suffix != ".j2"
        and not path.is_relative_to(PROJECT / "tests" / "data")
    ]


def test_every_file_of_shell_passes_shellcheck() -> None:
    files = shell_files()
    assert {PROJECT / ".ci" / "run", PROJECT / "ci" / "lab.sh"} < set(files)
    done = subprocess.run(
        [find_tool("shellcheck"), "--severity=warning", "--format=gcc", *files],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("", 0)


def test_no_shell_script_reads_an_argument_as_code() -> None:
    assert [name for name, text in SHELL.items() if re.search(r"\beval\b", text)] == []


def test_no_shell_script_counts_on_the_date() -> None:
    # A date changes if somebody sets it, and at the first answer of a time server.
    texts = SHELL | {str(path.relative_to(PROJECT)): path.read_text() for path in shell_files()}
    assert any("deadline=" in text for text in texts.values())
    assert [name for name, text in texts.items() if re.search(r"deadline=.*\bdate\b", text)] == []


def tracked_files() -> list[Path]:
    return [PROJECT / name for name in tracked()]


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    own = re.compile(r"(?<![\w.])/(work/(main|shared)\b|root/\.\w|home/(?!ada\b)\w)")
    found = [
        str(path.relative_to(PROJECT))
        for path in tracked_files()
        if own.search(path.read_text(errors="replace"))
    ]
    assert found == []


def test_no_file_names_a_package_registry() -> None:
    # Go modules come from what GOPROXY says, packages from what pip and apt are told.
    registries = re.compile(
        "|".join(("proxy" + r"\.golang\.org", "pypi" + r"\.org", "deb" + r"\.debian\.org"))
    )
    found = [
        str(path.relative_to(PROJECT))
        for path in tracked_files()
        if registries.search(path.read_text(errors="replace"))
    ]
    assert found == []
