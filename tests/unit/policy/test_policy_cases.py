"""The table: every file in tests/data/policy/block is refused by the rules that rules.yaml has for
it, every one in pass is not.

Cases are text with ``{{ token }}`` marks (policy_material), since the repository's own tree has to
pass the policy. All are judged in one run, as a push with all of them would be.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from sopslab.policy import callers, report
from sopslab.policy.findings import FIXES, GITLEAKS_PREFIX, Finding, Report
from tests.unit.policy import policy_material

DATA = Path(__file__).parents[2] / "data" / "policy"
BLOCK = sorted(path.name for path in (DATA / "block").iterdir())
PASS = sorted(path.name for path in (DATA / "pass").iterdir())
RULES: dict[str, list[str]] = yaml.safe_load((DATA / "rules.yaml").read_text())
Judged = dict[str, list[Finding]]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, gitleaks: str) -> Judged:
    """The findings of each case, by its kind and name."""
    folder = tmp_path_factory.mktemp("cases")
    names: dict[str, str] = {}
    for kind in ("block", "pass"):
        for case in sorted((DATA / kind).iterdir()):
            target = policy_material.write_case(case, folder / kind)
            names[str(target)] = f"{kind}/{case.name}"
    answer = callers.check([str(folder)])
    assert answer.undecided == []
    assert answer.checked == len(names)
    found: Judged = defaultdict(list)
    for finding in answer.findings:
        found[names[finding.path]].append(finding)
    return found


def is_right(name: str, findings: list[Finding]) -> bool:
    """Return whether a case breaks those of our rules that the table has for it, and of those of
    gitleaks at least these."""
    rules = {finding.rule for finding in findings}
    of_gitleaks = {rule for rule in rules if rule.startswith(GITLEAKS_PREFIX)}
    expected = set(RULES[name])
    return rules - of_gitleaks <= expected <= rules


def test_the_whole_table(judged: Judged) -> None:
    """Each case has its own test below. Mutation testing runs the test that makes `judged`: this
    one."""
    assert sorted(RULES) == BLOCK
    assert [name for name in BLOCK if not is_right(name, judged.get(f"block/{name}", []))] == []
    assert [name for name in PASS if judged.get(f"pass/{name}")] == []


@pytest.mark.parametrize("name", BLOCK)
def test_is_blocked(name: str, judged: Judged) -> None:
    findings = judged.get(f"block/{name}", [])
    assert is_right(name, findings), findings


@pytest.mark.parametrize("name", PASS)
def test_passes(name: str, judged: Judged) -> None:
    assert judged.get(f"pass/{name}", []) == []


def test_line_is_that_of_the_value(judged: Judged) -> None:
    lines = {
        name: [finding.line for finding in judged[f"block/{name}"]]
        for name in (
            "secret-stringdata.yaml",
            "secret-crlf.yaml",
            "secret-in-configmap-string.yaml",
            "secret-json-with-tabs.json",
            "dotenv@.env",
            "aws-key@credentials",
        )
    }
    assert lines == {
        "secret-stringdata.yaml": [6],
        "secret-crlf.yaml": [6],
        "secret-in-configmap-string.yaml": [10],
        "secret-json-with-tabs.json": [5, 6],
        "dotenv@.env": [3],
        "aws-key@credentials": [2, 3],
    }


def test_no_value_is_shown(judged: Judged) -> None:
    answer = Report([finding for found in judged.values() for finding in found])
    shown = report.as_text(answer) + report.as_json(answer)
    for value in (policy_material.SHORT, policy_material.b64(policy_material.SHORT), "4711"):
        assert value not in shown
    assert "PRIVATE KEY" not in shown
    assert policy_material.AGE not in shown


def test_every_finding_has_a_rule_with_a_fix(judged: Judged) -> None:
    for findings in judged.values():
        for finding in findings:
            assert finding.rule in FIXES or finding.rule.startswith(GITLEAKS_PREFIX)
            assert finding.fix
            assert finding.line >= 1


def test_the_package_and_the_tests_of_the_policy_pass(gitleaks: str) -> None:
    root = Path(__file__).parents[3]
    answer = callers.check(str(root / part) for part in ("sopslab", "tests/unit/policy"))
    cases = callers.check([str(DATA)])
    assert (answer.findings, answer.undecided) == ([], [])
    assert (cases.findings, cases.undecided) == ([], [])


def test_json_has_path_line_rule_message_fix(judged: Judged) -> None:
    answer = Report(judged["block/secret-stringdata.yaml"], [], 1)
    loaded = json.loads(report.as_json(answer))
    assert loaded["checked"] == 1
    assert loaded["undecided"] == []
    assert [sorted(finding) for finding in loaded["findings"]] == [
        ["fix", "line", "message", "path", "rule"]
    ]
