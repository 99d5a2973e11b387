"""The one stream to gitleaks holds all texts, and each line of its report leads back to one of
them."""

from __future__ import annotations

import threading

import pytest

from sopslab.policy.gitleaks import LEAKS, Begun, ScannerError
from sopslab.policy.scanner import Gitleaks, Leak
from tests.unit.policy.policy_material import RECIPIENT, armored, encrypted_value, pem
from tests.unit.policy.policy_process import Process, finding


def stream(*texts: str) -> str:
    """Return the input that gitleaks gets for these texts."""
    process = Process()
    scanner = Gitleaks(process.begun)
    assert [scanner.feed(text) for text in texts] == list(range(len(texts)))
    assert scanner.finish() == []
    assert process.stdin.closed
    return process.stdin.content.decode()


def leaks(report: object, *texts: str, code: int = LEAKS) -> list[Leak]:
    scanner = Gitleaks(Process(report, code=code).begun)
    for text in texts:
        scanner.feed(text)
    return scanner.finish()


TEXTS = ("one", "", "two\nMARK", "MARK\n\n", "\n".join(["x", *armored("CERTIFICATE"), "MARK"]))


def test_the_stream_begins_as_text_and_holds_every_text_apart() -> None:
    assert stream("a", "b\n") == "#\n\n#\n\na\n\n#\n\nb\n\n\n#\n\n"


@pytest.mark.parametrize("breaks", ["\n", "\r\n"])
def test_a_line_of_the_stream_leads_back_to_its_text(breaks: str) -> None:
    texts = [text.replace("\n", breaks) for text in TEXTS]
    seen = stream(*texts).split("\n")
    report = [finding(n, n) for n, line in enumerate(seen, 1) if line == "MARK"]
    assert leaks(report, *texts) == [
        Leak(number, text.split("\n").index("MARK") + 1, "a-rule")
        for number, text in enumerate(TEXTS)
        if "MARK" in text
    ]


def test_the_end_of_what_was_found_tells_the_text() -> None:
    first = stream("a").split("\n").index("a") + 1
    assert leaks([finding(first - 1, first)], "a") == [Leak(0, 1, "a-rule")]
    assert leaks([finding(first, first + 2)], "a\nb\nc") == [Leak(0, 1, "a-rule")]
    assert leaks([finding(first + 1, first + 2)], "a\nb\nc") == [Leak(0, 2, "a-rule")]


def test_what_is_known_to_be_harmless_is_not_shown() -> None:
    key = pem()
    text = f"a: {encrypted_value()} {encrypted_value()}\nb: {RECIPIENT}\nc: age1short\n{key}\n"
    seen = stream(text).replace("\n\n#\n\n", "")
    assert seen == f"#a: ENC ENC\nb: age1\nc: age1short\n{key}\n"


@pytest.mark.parametrize("kind", ["AGE ENCRYPTED FILE", "PGP MESSAGE", "CERTIFICATE", "PUBLIC KEY"])
def test_armor_leaves_its_lines_empty(kind: str) -> None:
    armor = "\n".join(armored(kind))
    assert stream(f"a\n{armor}\nb") == stream("a\n" + "\n" * armor.count("\n") + "\nb")


def test_what_is_no_text_in_utf_8_is_shown_all_the_same() -> None:
    assert stream("a\udc80b") == stream("a?b")


def test_much_is_not_kept_until_the_end() -> None:
    process = Process()
    scanner = Gitleaks(process.begun)
    scanner.feed("a" * 40_000)
    scanner.feed("b" * 40_000)
    assert process.stdin.came.wait(10)
    scanner.feed("c")
    scanner.feed("d")
    scanner.finish()
    assert process.stdin.tries == 2
    assert process.stdin.content.decode() == stream("a" * 40_000, "b" * 40_000, "c", "d")


def test_as_much_as_a_batch_is_kept() -> None:
    process = Process()
    scanner = Gitleaks(process.begun)
    scanner.feed("a" * 65_536)
    scanner.finish()
    assert process.stdin.tries == 1


def test_after_a_batch_as_much_is_kept_again() -> None:
    process = Process()
    scanner = Gitleaks(process.begun)
    scanner.feed("a" * 65_537)
    scanner.feed("b" * 65_536)
    scanner.finish()
    assert process.stdin.tries == 2


def test_little_is_given_at_once() -> None:
    process = Process()
    scanner = Gitleaks(process.begun)
    for _ in range(9):
        scanner.feed("a" * 7_000)
    scanner.finish()
    assert process.stdin.tries == 1


@pytest.mark.parametrize("code", [0, LEAKS])
def test_gitleaks_may_end_with_leaks_or_without(code: int) -> None:
    assert leaks([], "a", code=code) == []


@pytest.mark.parametrize("code", [1, 2, -9])
def test_gitleaks_may_not_end_otherwise(code: int) -> None:
    with pytest.raises(ScannerError, match=f"gitleaks failed with exit code {code}$"):
        leaks([], "a", code=code)


@pytest.mark.parametrize(
    "report",
    ["", "{", "1", "[1]", "[{}]", [finding(1, 1)], [{"StartLine": 6, "EndLine": 6}], '["a"]'],
)
def test_a_report_that_says_nothing_is_none(report: object) -> None:
    with pytest.raises(ScannerError, match=r"^gitleaks gave no readable report$"):
        leaks(report, "a")


def test_what_does_not_end_is_ended() -> None:
    process = Process(hangs=True)
    with pytest.raises(ScannerError, match=r"^gitleaks did not end within 300 s$"):
        Gitleaks(process.begun).finish()
    assert process.killed


def test_who_does_not_read_on_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sopslab.policy.scanner._TIMEOUT_S", 0.2)
    process, read = Process(), threading.Event()
    monkeypatch.setattr(process.stdin, "write", lambda _: read.wait(10))
    scanner = Gitleaks(process.begun)
    with pytest.raises(ScannerError, match=r"^gitleaks has read nothing for 0\.2 s$"):
        for _ in range(99):
            scanner.feed("a" * 70_000)
    assert process.killed
    read.set()


def test_whoever_stops_reading_is_given_nothing_more() -> None:
    process = Process(code=1, breaks=True)
    scanner = Gitleaks(process.begun)
    for _ in range(99):
        scanner.feed("a" * 70_000)
    with pytest.raises(ScannerError, match=r"exit code 1$"):
        scanner.finish()
    assert process.stdin.tries == 1
    assert process.stdin.closed


def test_what_gitleaks_does_keeps_no_program_from_ending() -> None:
    before = set(threading.enumerate())
    process = Process()
    read = threading.Event()
    process.stdout.read = lambda *_: b"[]" if read.wait(10) else b""  # type: ignore[method-assign]
    scanner = Gitleaks(process.begun)
    ours = set(threading.enumerate()) - before
    assert len(ours) == 2
    assert all(thread.daemon for thread in ours)
    read.set()
    assert scanner.finish() == []


def test_without_gitleaks_there_is_no_scan() -> None:
    with pytest.raises(ScannerError, match=r"^why$"):
        Gitleaks(Begun(None, "why"))


def test_one_rule_goes_by_names_and_entropy() -> None:
    assert Leak(0, 1, "generic-api-key").is_generic
    assert not Leak(0, 1, "github-pat").is_generic
