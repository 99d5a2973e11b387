"""How mutation testing judges what mutmut found."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests import mutation
from tests.mutants_of_text import of_expression, of_policies, of_python, of_shell
from tests.mutation import ACCEPTED, PARTS, PROJECT, Mutant, Result, enough


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_made_of_files_that_are_there(name: str) -> None:
    part = PARTS[name]
    assert Path(PROJECT, part.source).is_file()
    for test in part.tests:
        file, _, function = test.partition("::")
        assert f"def {function}" in Path(PROJECT, file).read_text()
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
        # A part that was tested as a whole is not improved by another part.
        ([result(8, 1), result(90, 0)], False),
        # A few drawn mutants say little about one part, and enough about all parts.
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
    found = mutation.mutants(tmp_path, "sopslab/config/naming.py")
    assert ("check_seat", "if len(value) > SEAT_LENGTH:", "if len(value) >= SEAT_LENGTH:") in {
        (one.function, one.before, one.after) for one in found
    }
    assert len({one.name for one in found}) == len(found)


GATE = """#!/bin/sh
# Who may.
case $1 in
#{ instructor }#:* | "$owner":*)
	exit 1
	;;
esac
[ "$a" = b ] && echo "${name##*/}"
"""


def test_mutants_of_a_script_are_scripts_in_which_one_thing_differs() -> None:
    last = '[ "$a" = b ] && echo "${name##*/}"'
    assert [(one.before, one.after) for one in of_shell(GATE)] == [
        ("case $1 in", ""),
        ('#{ instructor }#:* | "$owner":*)', ""),
        ('#{ instructor }#:* | "$owner":*)', '"$owner":*)'),
        ('#{ instructor }#:* | "$owner":*)', "#{ instructor }#:*)"),
        ("exit 1", ""),
        ("exit 1", "exit 0"),
        (last, ""),
        (last, last.replace("&&", "||")),
        (last, last.replace("=", "!=")),
        (last, last.replace("##", "%")),
        (last, last.replace("##", "#")),
    ]


def test_a_case_goes_with_all_that_is_in_it() -> None:
    whole, one = [change.text for change in of_shell(GATE)][:2]
    assert whole == GATE[: GATE.index("case")] + GATE[GATE.index("[") :]
    assert one == GATE[: GATE.index("#{")] + GATE[GATE.index("esac") :]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a && !b", ["a || !b", "a && b"]),
        ("a || b != c", ["a && b != c", "a || b == c"]),
        ("a.b == 30", ["a.b != 30", "a.b == 31"]),
        ("a >= duration('30s')", ["a > duration('30s')", "a >= duration('XX30sXX')"]),
        ("all.all(x, x <= y)", ["all.all(x, x < y)", "all.exists(x, x <= y)"]),
        ("a.b.startsWith(c)", ["!a.b.startsWith(c)"]),
        ("!a.startsWith(c)", ["a.startsWith(c)"]),
        (
            "a in ['b', 'c']",
            ["a in ['XXbXX', 'c']", "a in ['b', 'XXcXX']", "a in ['c']", "a in ['b']"],
        ),
    ],
)
def test_an_expression_is_changed_in_one_place(expression: str, expected: list[str]) -> None:
    assert of_expression(expression) == expected


POLICY = """
kind: ValidatingAdmissionPolicy
metadata: {name: pods}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - {apiGroups: [""], resources: [pods], operations: [CREATE, UPDATE]}
  validations:
    - {expression: a == b, message: no}
---
kind: ValidatingAdmissionPolicyBinding
metadata: {name: pods}
spec: {policyName: pods, validationActions: [Deny]}
"""


def test_of_a_policy_whatever_is_left_out_has_to_be_noticed() -> None:
    changes = of_policies(POLICY)
    assert [(one.where, one.before, one.after) for one in changes] == [
        ("Policy pods", "all of it", ""),
        ("Policy pods: failurePolicy", "Fail", ""),
        (
            "Policy pods: matchConstraints.resourceRules",
            "{apiGroups: [''], operations: [CREATE, UPDATE], resources: [pods]}",
            "",
        ),
        ("Policy pods: matchConstraints.resourceRules.operations", "CREATE", ""),
        ("Policy pods: matchConstraints.resourceRules.operations", "UPDATE", ""),
        ("Policy pods: validations", "a == b", ""),
        ("Policy pods: validations.expression", "a == b", "a != b"),
        ("PolicyBinding pods", "all of it", ""),
        ("PolicyBinding pods: validationActions", "[Deny]", ""),
    ]
    documents = list(yaml.safe_load_all(changes[4].text))
    assert documents[0]["spec"]["matchConstraints"]["resourceRules"][0]["operations"] == ["CREATE"]
    assert documents[1] == list(yaml.safe_load_all(POLICY))[1]


def test_a_mutant_of_a_program_has_one_of_its_functions_in_another_form() -> None:
    text = 'X = "#{ x }#"\n\n\ndef f():\n    return 1\n\n\nf()\n'
    code = "def x_f__mutmut_orig():\n    return 1\n\ndef x_f__mutmut_1():\n    return 2\n"
    spans = {"x_f__mutmut_orig": (1, 2), "x_f__mutmut_1": (3, 5)}
    (change,) = of_python(text, lambda _: (code, spans))
    assert change == ("f", "return 1", "return 2", text.replace("1", "2"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one part: a script and its test."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.setattr(mutation, "PROJECT", folder)
    monkeypatch.setattr(mutation, "WORK", tmp_path / "work")
    part = mutation.Part("script", ("test_script.py",), changes=of_shell)
    monkeypatch.setitem(PARTS, "script", part)
    return folder


def test_what_a_mutant_has_going_on_ends_with_its_tests(project: Path, tmp_path: Path) -> None:
    held = tmp_path / "held"
    (project / "script").write_text("true\n")
    (project / "test_script.py").write_text(
        "import subprocess\n\n\ndef test_it():\n"
        f"    subprocess.Popen(['flock', {str(held)!r}, 'sleep', '600'])\n"
    )
    assert mutation.examine("script", "1", None, 0, 2).tested > 0
    subprocess.run(["flock", "--timeout", "20", held, "true"], check=True)


def test_a_mutant_of_a_text_is_killed_by_a_test_that_fails(project: Path) -> None:
    (project / "script").write_text("exit 3\ntrue\n")
    (project / "test_script.py").write_text(
        "import subprocess\n\n\ndef test_it():\n"
        "    assert subprocess.run(['sh', 'script']).returncode == 3\n"
    )
    found = mutation.examine("script", "1", None, 0, 2)
    assert (found.killed, found.tested, found.whole) == (2, 3, True)
    assert [(one.before, one.after) for one in found.survivors] == [("true", "")]
    assert (project / "script").read_text() == "exit 3\ntrue\n"
    # The tests have to pass without a change.
    (project / "script").write_text("exit 4\n")
    with pytest.raises(RuntimeError, match="ended too early"):
        mutation.examine("script", "2", None, 0, 2)
