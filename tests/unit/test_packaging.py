"""The package's description in pyproject.toml agrees with what the code needs and with the pins."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from sopslab.layout import PROJECT
from tests.sources import tree_of

SHIPPED = ("deploy.py", "deploys", "group_data", "inventories", "sopslab", "tasks")
OURS = {"sopslab", "tasks"}
ASKED = {
    canonicalize_name(requirement.name): requirement
    for line in tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    for requirement in [Requirement(line)]
}


def pins(file: str) -> dict[str, str]:
    """Return the versions that a file of pins has, by the names of the packages."""
    found = re.findall(r"^([\w.-]+)==([^ ;]+)", (PROJECT / file).read_text(), re.M)
    return {canonicalize_name(name): version for name, version in found}


PINNED = pins("requirements.txt")


def sources() -> list[Path]:
    return [file for name in SHIPPED for file in python_files(PROJECT / name)]


def python_files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def imported(file: Path) -> set[str]:
    """Return the top-level names that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            names |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def test_every_pin_is_in_the_range_that_is_asked_for() -> None:
    assert PINNED.keys() >= ASKED.keys()
    outside = {
        name: PINNED[name]
        for name, requirement in ASKED.items()
        if not requirement.specifier.contains(PINNED[name])
    }
    assert outside == {}


def test_every_requirement_has_a_lower_bound() -> None:
    lower = {
        name: {specifier.operator for specifier in requirement.specifier}
        for name, requirement in ASKED.items()
    }
    assert [name for name, operators in lower.items() if ">=" not in operators] == []


def test_of_what_is_extended_inside_only_the_minor_version_that_is_tested_is_asked_for() -> None:
    for name in map(canonicalize_name, ("pyinfra", "uvicorn")):
        major, minor = Version(PINNED[name]).release[:2]
        taken = ASKED[name].specifier
        assert taken.contains(f"{major}.{minor}.99")
        assert not taken.contains(f"{major}.{minor + 1}.0")
        assert not taken.contains(f"{major}.{minor - 1}.99")


def test_what_is_imported_is_asked_for() -> None:
    names = set().union(*map(imported, sources())) - sys.stdlib_module_names - OURS
    of = packages_distributions()
    missing = {
        name
        for name in names
        if not ASKED.keys() & {canonicalize_name(found) for found in of.get(name, [])}
    }
    assert names
    assert missing == set()


def test_no_test_tool_is_asked_for() -> None:
    assert PINNED.keys() & {"hypothesis", "mypy", "pytest", "ruff", "setuptools"} == set()


def test_what_builds_the_package_is_pinned() -> None:
    asked = tomllib.loads((PROJECT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert pins("requirements-build.txt").keys() == set(map(canonicalize_name, asked))


def test_developers_have_the_versions_that_a_lab_has() -> None:
    others = {**pins("requirements-dev.txt"), **pins("requirements-build.txt")}
    both = others.keys() & PINNED.keys()
    assert both
    assert {name: others[name] for name in both} == {name: PINNED[name] for name in both}
