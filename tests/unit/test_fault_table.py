"""The table of faults in tests/README.md: its tests exist, and run where the table says."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

from sopslab.layout import PROJECT
from tests.sources import tree_of

TESTS = PROJECT / "tests"
FAULTS = 99
ROW = re.compile(r"\| (\d+) \|(.+)\|")


class Row(NamedTuple):
    """A fault: its tests in `make test` and in `make soak`, and what no test covers."""

    number: int
    fault: str
    test: list[str]
    soak: list[str]
    lacking: str


def rows() -> Iterator[Row]:
    for line in (TESTS / "README.md").read_text().splitlines():
        if (found := ROW.fullmatch(line)) is None:
            continue
        fault, test, soak, lacking = (cell.strip() for cell in found[2].split("|"))
        yield Row(int(found[1]), fault, names(test), names(soak), lacking)


def names(cell: str) -> list[str]:
    """Return the tests that a cell names; anything else in it is a mistake."""
    if cell in ("none yet", "–"):
        return []
    return [item.removeprefix("`").removesuffix("`") for item in cell.split("<br>")]


ROWS = list(rows())


@functools.cache
def functions(path: str) -> dict[str, ast.FunctionDef]:
    tree = tree_of(TESTS / path)
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


@functools.cache
def marked_as_a_whole(path: str) -> bool:
    """Return whether a module gives all of its tests the mark `soak`."""
    tree = tree_of(TESTS / path)
    return any(
        isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "pytestmark"
        and soaks(node.value)
        for node in tree.body
    )


def is_test(test: str) -> bool:
    path, _, name = test.partition("::")
    return name.startswith("test_") and (TESTS / path).is_file() and name in functions(path)


def soaks(node: ast.AST) -> bool:
    return any(
        (isinstance(part, ast.Attribute) and ast.unparse(part) == "pytest.mark.soak")
        or (isinstance(part, ast.Name) and part.id in {"mostly_soak", "partly_soak", "soak"})
        for part in ast.walk(node)
    )


def sets(test: str) -> set[str]:
    """Return in which of the sets `test` and `soak` a test runs, by its marks."""
    path, _, name = test.partition("::")
    decorators = functions(path)[name].decorator_list
    if marked_as_a_whole(path) or any(
        ast.unparse(decorator) == "pytest.mark.soak" for decorator in decorators
    ):
        return {"soak"}
    # The mark of a parameter concerns that parameter only.
    return {"test", "soak"} if any(map(soaks, decorators)) else {"test"}


def test_every_fault_has_its_row() -> None:
    assert [row.number for row in ROWS] == list(range(1, FAULTS + 1))
    assert all(row.fault for row in ROWS)


def test_the_tests_of_a_fault_exist_and_run_where_the_table_says() -> None:
    assert {test for row in ROWS for test in row.test + row.soak if not is_test(test)} == set()
    assert [test for row in ROWS for test in row.test if "test" not in sets(test)] == []
    assert [test for row in ROWS for test in row.soak if "soak" not in sets(test)] == []
    # `make soak` runs no tests outside these folders.
    parts = ("unit/", "deploy/", "cluster/")
    assert {test for row in ROWS for test in row.soak if not test.startswith(parts)} == set()
    both = [(row, test) for row in ROWS for test in row.test if "soak" in sets(test)]
    assert [(row.number, test) for row, test in both if test not in row.soak] == []


def test_what_no_test_injects_is_said() -> None:
    silent = [row.number for row in ROWS if not (row.test or row.soak or row.lacking)]
    assert silent == []


def test_marks_are_told_apart() -> None:
    assert sets("cluster/test_hundred.py::test_ninety_are_finished_and_the_ten_are_named") == {
        "soak"
    }
    assert sets("cluster/test_no_egress.py::test_port_53_is_open_to_name_servers_alone") == {"test"}
    state = "test_seats_come_back_from_whatever_state_they_are_in"
    assert sets(f"cluster/test_reset.py::{state}") == {"test", "soak"}
