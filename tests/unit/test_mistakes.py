"""What a slip makes of a file, and a history without the commit that brought it."""

from __future__ import annotations

import pytest

from sopslab.course.fault_record import Injection, parse_record, render_record
from sopslab.course.mistakes import edited, unlisted, with_slip, without_last_letter
from sopslab.lab.act.drills import with_entry
from sopslab.lab.act.mistakes import replanted

NAME = "backend-secrets.yaml"


@pytest.mark.parametrize(
    "line", ["- backend-secrets.yaml", "  -   ./backend-secrets.yaml  ", "-backend-secrets.yaml"]
)
def test_a_file_that_is_listed_is_taken_off_the_list_and_nothing_else(line: str) -> None:
    text = f"resources:\n  - a.yaml\n{line}\n  - b.yaml\n"
    without = unlisted(text.encode(), NAME).decode()
    indent = " " * (len(line) - len(line.lstrip()))
    assert without == text.replace(line, f"{indent}# - {NAME}")


@pytest.mark.parametrize(
    "line", ["  # - backend-secrets.yaml", "- backend-secretsXyaml", "- my-backend-secrets.yaml",
             "- backend-secrets.yaml # mine", "- ../backend-secrets.yaml"],
)  # fmt: skip
def test_a_line_that_says_something_else_does_not_list_it(line: str) -> None:
    text = f"resources:\n{line}\n".encode()
    assert unlisted(text, NAME) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a: ENC[AES256_GCM,data:Axy,iv:1]\n", b"a: ENC[AES256_GCM,data:Bxy,iv:1]\n"),
        (b"a: ENC[AES256_GCM,data:xyz,iv:1]\n", b"a: ENC[AES256_GCM,data:Ayz,iv:1]\n"),
        (b"a: b\n", b"a: b\n"),
    ],
)
def test_one_letter_of_the_first_value_is_another_one(before: bytes, after: bytes) -> None:
    assert edited(before) == after
    rest = b"b: ENC[AES256_GCM,data:Axy,iv:1]\n" if before != after else b""
    assert edited(before + rest) == after + rest


def test_the_slip_leaves_data_in_plain_text() -> None:
    assert with_slip(b"encrypted_regex: ^(data|stringData)$\n") == (
        b"encrypted_regex: ^(dta|stringData)$\n"
    )
    assert with_slip(b"encrypted_regex: ^data$\n") == b"encrypted_regex: ^data$\n"


def test_only_the_identity_loses_its_last_letter() -> None:
    assert without_last_letter(b"# public key: age1x\nAGE-SECRET-KEY-1ABC\n") == (
        b"# public key: age1x\nAGE-SECRET-KEY-1AB\n"
    )


def test_a_file_is_listed_first_where_there_is_a_list() -> None:
    assert with_entry(b"kind: K\nresources: \n  - b\nresources:\n", "a") == (
        b"kind: K\nresources: \n  - a\n  - b\nresources:\n"
    )
    assert with_entry(b"resources:", "a") == b"resources:\n  - a"
    for text in (b"", b"resources: []\n", b"  resources:\n", b"# resources:\n"):
        assert with_entry(text, "a") is None


def test_of_a_commit_only_tree_and_parents_are_others() -> None:
    commit = (
        b"tree 1111\nparent aaaa\nparent bbbb\nauthor Ada <a@b> 1 +0000\n"
        b"gpgsig -----BEGIN-----\n parent aaaa\n\ntree of mine\n\nparent aaaa, \xff without an end"
    )
    assert replanted(commit, "2222", {"aaaa": "cccc"}) == (
        b"tree 2222\nparent cccc\nparent bbbb\nauthor Ada <a@b> 1 +0000\n"
        b"gpgsig -----BEGIN-----\n parent aaaa\n\ntree of mine\n\nparent aaaa, \xff without an end"
    )


def test_a_record_is_read_as_it_was_written() -> None:
    faults = {"wrong-key": Injection(done=False), "not-wired": Injection(done=True, commit="c0f")}
    text = render_record(faults)
    assert list(parse_record(text).items()) == list(faults.items())
    assert parse_record(f"{text}\n") == faults


def test_records_of_earlier_versions_keep_their_form() -> None:
    assert render_record({"wrong-key": Injection(done=True)}) == (
        "eyJ3cm9uZy1rZXkiOnsiY29tbWl0IjoiIiwiZG9uZSI6dHJ1ZX19"
    )
