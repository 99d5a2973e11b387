"""What mutation testing makes of what mutmut found out."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests import mutation
from tests.mutation import ACCEPTED, PARTS, PROJECT, Mutant, Result, enough


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_made_of_files_that_are_there(name: str) -> None:
    part = PARTS[name]
    assert Path(PROJECT, part.source).is_file()
    for test in part.tests:
        assert Path(PROJECT, test).is_file()
    for test in part.without:
        file, _, function = test.partition("::")
        assert f"def {function.partition('[')[0]}" in Path(PROJECT, file).read_text()


def test_whoever_accepts_a_survivor_says_why() -> None:
    accepted = yaml.safe_load(ACCEPTED.read_text())
    assert accepted.keys() <= PARTS.keys()
    for entries in accepted.values():
        for entry in entries:
            assert entry.keys() == {"in", "before", "after", "why"}
            assert len(entry["why"].split()) > 2


@pytest.mark.parametrize(
    ("before", "after", "rewords"),
    [
        ('yield Hit(1, "it is large")', 'yield Hit(1, "XXit is largeXX")', True),
        ('f(f"no {name} here")', 'f(f"NO {name} HERE")', True),
        ('yield Hit(1, "too-large")', 'yield Hit(1, "XXtoo-largeXX")', False),
        ('yield Hit(1, "it is large")', 'yield Hit(2, "it is large")', False),
        ('yield Hit(1, "it is large")', "yield Hit(1, None)", False),
        ('a == "b" and c == "d"', 'a == "b" or c == "d"', False),
    ],
)
def test_a_sentence_in_other_words_is_no_mutant(before: str, after: str, rewords: bool) -> None:
    assert Mutant("name", "function", before, after).rewords == rewords


SURVIVOR = Mutant("name", "function", "a < b", "a <= b")


def result(
    killed: int, survived: int, *, whole: bool = True, wrongly: tuple[str, ...] = ()
) -> Result:
    return Result("part", [SURVIVOR] * survived, killed + survived, whole, wrongly)


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([result(9, 1)], True),
        ([result(8, 1)], False),
        # A part that was tested as a whole is not made good by another.
        ([result(8, 1), result(90, 0)], False),
        # What was drawn says little of one part, and enough of all.
        ([result(8, 1, whole=False), result(90, 0, whole=False)], True),
        ([result(8, 1, whole=False), result(8, 1, whole=False)], False),
        ([result(8, 1, whole=False), result(90, 0)], False),
        ([result(9, 0, wrongly=("it is killed",))], False),
        ([result(0, 0)], True),
    ],
)
def test_nine_of_ten_are_enough(results: list[Result], expected: bool) -> None:
    assert enough(results) == expected


def test_mutants_of_a_function_are_told_by_the_lines_that_differ(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text("[mutmut]\nsource_paths = sopslab\n")
    found = mutation.mutants(tmp_path, "sopslab/naming.py")
    assert ("check_seat", "if len(value) > SEAT_LENGTH:", "if len(value) >= SEAT_LENGTH:") in {
        (one.function, one.before, one.after) for one in found
    }
    assert len({one.name for one in found}) == len(found)
