"""The process of a run: what pyinfra is spared there, and that all else is as pyinfra knows it."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sopslab.layout import PROJECT
from sopslab.run import start
from tests.sources import tree_of

# What is asked is answered when pyinfra has ended, in the last line of standard error.
PROGRAM = """
import sys
from importlib import metadata
from sopslab.run import start
{before}
try:
    start.main()
finally:
    print({asked}, file=sys.stderr)
"""


def answer(
    folder: Path, asked: str, inventory: str = "@local", before: str = "", **environment: str
) -> str:
    """Start pyinfra as a run does, to show an inventory, and return what is `asked` then.

    + folder: where pyinfra runs
    + asked: an expression
    + inventory: the inventory
    + before: statements that come before the start
    + environment: variables for that process
    """
    program = PROGRAM.format(before=before, asked=asked)
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, inventory, "debug-inventory"],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stderr.splitlines()[-1]


def test_what_is_installed_is_looked_up_once(tmp_path: Path) -> None:
    counting = """
looked_up, known = [], metadata.distributions
metadata.distributions = lambda **wanted: looked_up.append(wanted) or known(**wanted)
"""
    assert answer(tmp_path, "len(looked_up)", before=counting) == "1"


@pytest.mark.parametrize("forbidden", ["", "1"])
def test_compiled_modules_are_kept_unless_the_user_forbids_that(
    tmp_path: Path, forbidden: str
) -> None:
    (tmp_path / "imported.py").write_text("HOSTS = ['@local']\n")
    (tmp_path / "inventory.py").write_text("from imported import HOSTS\n")
    kept = answer(
        tmp_path, "os.path.exists(sys.modules['imported'].__cached__)", "inventory.py",
        before="import os", PYTHONPATH=str(tmp_path), PYTHONDONTWRITEBYTECODE=forbidden,
    )  # fmt: skip
    assert kept == str(not forbidden)


def test_what_pyinfra_imports_for_exec_is_left_out_until_somebody_asks_for_it(
    tmp_path: Path,
) -> None:
    before = """
from importlib import import_module

def imported():
    unused = ("pyinfra.operations.", "pyinfra.facts.")
    return [name for name in sys.modules if name.startswith(unused)]

def real():
    return callable(import_module("pyinfra.operations.server").shell)
"""
    wanted = "hasattr(sys.modules['pyinfra_cli.cli'], 'server')"
    assert answer(tmp_path, f"imported(), {wanted}, real()", before=before) == "[] True True"


def test_ssh_and_certificates_are_left_out_until_somebody_asks_for_them(tmp_path: Path) -> None:
    libraries = ("paramiko", "paramiko.config", "cryptography", "nacl")
    assert imported_by_up(tmp_path, *libraries, "pyinfra.connectors.ssh") == (
        "['pyinfra.connectors.ssh']"
    )


@pytest.mark.parametrize("inventory", ["@local", "@seat/ada"])
def test_whoever_asks_for_paramiko_gets_the_real_one_without_invoke(
    tmp_path: Path, inventory: str
) -> None:
    before = """
def real():
    import paramiko.config
    return issubclass(paramiko.SSHException, Exception), paramiko.config.invoke
"""
    found = answer(
        tmp_path, "*real(), sys.modules['paramiko'].__file__ is not None", inventory, before
    )
    assert found == "True None True"


def test_the_types_of_the_arguments_are_evaluated_once(tmp_path: Path) -> None:
    before = """
import typing
evaluated, known = [], typing.get_type_hints
typing.get_type_hints = lambda of, *more, **named: evaluated.append(of) or known(of, *more, **named)

def seen():
    arguments = sys.modules["pyinfra.api.arguments"]
    first, second = (dict(arguments.all_global_arguments()) for _ in range(2))
    right = first == second == known(arguments.AllArguments)
    return right, evaluated.count(arguments.AllArguments)
"""
    assert answer(tmp_path, "seen()", before=before) == "(True, 1)"


def imported_by_up(folder: Path, *modules: str) -> str:
    """Return, sorted, which of some modules are there once pyinfra has ended and then all that the
    deploy of `up` imports was imported."""
    imports = [ast.unparse(node) for node in tree_of(PROJECT / "deploy.py").body]
    lines = "\n".join(line for line in imports if line.startswith("from "))
    asked = f"exec({lines!r}) or sorted(set({modules!r}) & set(sys.modules))"
    return answer(folder, asked, PYTHONPATH=str(PROJECT))


def test_the_rules_of_the_policy_wait_for_an_encrypted_file(tmp_path: Path) -> None:
    policy = ("passwords", "placeholders", "published", "secrets", "sops")
    found = imported_by_up(tmp_path, *(f"sopslab.policy.{name}" for name in policy))
    assert found == "['sopslab.policy.sops']"


def test_a_line_is_told_as_inspect_tells_it() -> None:
    here = inspect.currentframe()
    assert here is not None
    assert start._place(here) == inspect.getframeinfo(here, 0)
    with pytest.raises(ZeroDivisionError) as caught:
        print(1 / 0)
    assert start._place(caught.tb) == inspect.getframeinfo(caught.tb, 0)
    assert start._place(caught.tb).lineno < here.f_lineno


def test_pyinfra_is_told_lines_without_what_takes_long_to_find_out(tmp_path: Path) -> None:
    asked = (
        "sys.modules['pyinfra.api.util'].getframeinfo is start._place,"
        " inspect.stack()[0].positions, inspect.stack()[0].code_context"
    )
    assert answer(tmp_path, asked, before="import inspect") == "True None None"


def test_garbage_is_looked_for_once_there_is_much_of_it(tmp_path: Path) -> None:
    assert answer(tmp_path, "gc.get_threshold()", before="import gc") == "(50000, 20, 50)"
