"""From findings to exposures, and which incident covers which of them."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from datetime import date

import pytest

from sopslab.incidents.coverage import cover, not_covered
from sopslab.incidents.exposures import digests, exposures, named_values
from sopslab.incidents.records import Exposure, Incident
from sopslab.model.incidents import Cause
from sopslab.policy.findings import Finding

REPOSITORY = "learner/lab"
COMMIT, OTHER = "a" * 40, "b" * 40
SECRET = b"""apiVersion: v1
kind: Secret
metadata: {name: payment-api}
data:
  ENCODED: aHVudGVyMg==
stringData:
  API_KEY: hunter2
  "{password:x}": y
"""
OPEN = Incident("2026-11-25-leak", Cause.VALUE_EXPOSED, ("learner",), date(2026, 11, 25))


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def finding(
    path: str = "a.yaml", line: int = 1, rule: str = "secret-plaintext", commit: str = COMMIT
) -> Finding:
    return Finding(path, line, rule, "it is plain", "mend it", commit)


def exposed(*findings: Finding, data: bytes | None = SECRET) -> tuple[Exposure, ...]:
    return exposures(REPOSITORY, findings, lambda _commit, _path: data)


def test_each_place_is_an_exposure_with_the_names_at_its_lines() -> None:
    assert exposed(finding(line=7), finding(line=5), finding(rule="password", line=7)) == (
        Exposure(REPOSITORY, COMMIT, "a.yaml", ("API_KEY",), "password"),
        Exposure(REPOSITORY, COMMIT, "a.yaml", ("ENCODED", "API_KEY"), "secret-plaintext"),
    )


def test_a_key_that_looks_like_a_value_is_not_named() -> None:
    (one,) = exposed(finding(line=8))
    assert one.keys == ()


def test_what_no_commit_leads_to_and_what_cannot_be_read_names_nothing() -> None:
    assert exposed(finding(commit="")) == ()
    assert exposed(finding(), data=None)[0].keys == ()
    assert exposed(finding(path="a\x1b[31m.yaml"))[0].path == "a\\x1b[31m.yaml"


def test_values_are_known_by_their_hashes_as_written_and_decoded() -> None:
    named = {value.key: value.digests for value in named_values(SECRET)}
    assert sha("hunter2") in named["API_KEY"] & named["ENCODED"]
    assert digests("") == frozenset()
    assert "hunter2" not in repr(named)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("API_KEY=abc\n", "API_KEY", "abc"),
        ("# x\nexport TOKEN='a b'\n", "TOKEN", "a b"),
        ("password: x y\n", "password", "x y"),
        ('KEY = "v";\n', "KEY", "v"),
        ("KEY=v \t\n", "KEY", "v"),
    ],
)
def test_lines_that_assign_have_values_too(text: str, key: str, value: str) -> None:
    (named,) = named_values(text.encode())
    assert (named.key, sha(value) in named.digests) == (key, True)


def test_lines_are_counted_as_the_policy_counts_them() -> None:
    (named,) = named_values("a\fb\u2028c\r\nKEY=v\r\n".encode())
    assert (named.line, sha("v") in named.digests) == (2, True)


def test_spaces_in_a_line_take_no_quadratic_time() -> None:
    started = time.process_time()
    (named,) = named_values(b"KEY=a" + b" " * 100_000 + b"b\n")
    assert named.key == "KEY" and time.process_time() - started < 1


def test_an_item_of_a_list_is_named_after_the_list() -> None:
    (named,) = named_values(b"tokens:\n- abc\n")
    assert named.key == "tokens"


@pytest.mark.parametrize("data", [b"", b"\x00\x01\x02", b"{", b"- a\n- b\n", b"just words\n"])
def test_a_file_without_names_has_no_values(data: bytes) -> None:
    assert named_values(data) == []


def test_a_finding_is_covered_by_the_same_commit_path_and_rule_only() -> None:
    incident = replace(OPEN, exposures=exposed(finding()))
    for other in (finding("b.yaml"), finding(rule="password"), finding(commit=OTHER)):
        coverage = cover([other, finding()], [incident], REPOSITORY)
        assert coverage.uncovered == (other,)
        assert coverage.open == (incident,)
    assert cover([finding()], [incident], "ada/lab").uncovered == (finding(),)
    assert cover([finding(line=9)], [incident], REPOSITORY).uncovered == ()


def test_a_closed_incident_deals_with_what_it_has() -> None:
    closed = replace(
        OPEN, id="2026-11-25-dealt", closed=date(2026, 11, 26), exposures=exposed(finding())
    )
    incident = replace(OPEN, exposures=exposed(finding(), finding("b.yaml")))
    coverage = cover([finding()], [incident, closed], REPOSITORY)
    assert (coverage.uncovered, coverage.open, coverage.closed) == ((), (), (closed,))
    coverage = cover([finding(), finding("b.yaml")], [incident, closed], REPOSITORY)
    assert (coverage.open, coverage.closed) == ((incident,), (closed,))


def test_what_another_incident_has_is_not_taken_in_twice() -> None:
    first, second = exposed(finding(), finding("b.yaml"))
    assert not_covered([first, second], [replace(OPEN, exposures=(first,))]) == (second,)
    # An exposure is the same place, whichever names of keys somebody has noted for it.
    noted = replace(first, keys=())
    assert not_covered([first], [replace(OPEN, exposures=(noted,))]) == ()
