"""Files that age wrote are recognised by their form, to the byte."""

from __future__ import annotations

import subprocess

import pytest

from sopslab.policy.age import is_intact, is_native, kind_of, unarmored, wraps_data_key
from tests.conftest import find_tool
from tests.unit.policy import policy_material
from tests.unit.policy.policy_material import RECIPIENT, RECIPIENT_PQ

VERSION = b"age-encryption.org/v1\n"


def written(
    kind: str = "X25519", argument: int = 43, body: int = 64, version: bytes = VERSION
) -> bytes:
    stanza = f"-> {kind} {'A' * argument}\n{'B' * 43}\n--- {'C' * 43}\n".encode()
    return version + stanza + bytes(body)


def armored(data: bytes) -> str:
    return "\n".join([*policy_material.armored("AGE ENCRYPTED FILE", data), ""])


@pytest.mark.parametrize(
    ("recipient", "kind"),
    [
        (RECIPIENT, b"X25519"),
        (RECIPIENT_PQ, b"mlkem768x25519"),
        (RECIPIENT[:-1], None),
        (RECIPIENT + "q", None),
        (RECIPIENT.upper(), None),
        ("age1yubikey1" + "q" * 50, None),
        ("ssh-ed25519 AAAA", None),
        ("", None),
    ],
)
def test_a_recipient_of_ages_own_is_told_from_others(recipient: str, kind: bytes | None) -> None:
    assert kind_of(recipient) == kind
    assert is_native(recipient) is (kind is not None)


@pytest.mark.parametrize("option", [(), ("-pq",)], ids=["x25519", "pq"])
def test_a_recipient_is_intact_until_a_character_is_lost_or_mistyped(option: tuple[str]) -> None:
    keygen = find_tool("age-keygen")
    identity = subprocess.run([keygen, *option], check=True, capture_output=True).stdout
    made = subprocess.run([keygen, "-y"], input=identity, check=True, capture_output=True)
    recipient = made.stdout.decode().strip()
    assert is_intact(recipient)
    assert not is_intact(recipient.upper())
    for place in (len("age1pq1"), len(recipient) // 2, len(recipient) - 1):
        before, lost, after = recipient[:place], recipient[place], recipient[place + 1 :]
        assert not is_intact(before + ("q" if lost != "q" else "p") + after)
        assert not is_intact(before + after)
        assert not is_intact(before + lost + lost + after)


def test_armor_is_taken_off_and_nothing_else_is_armor() -> None:
    data = written()
    assert unarmored(armored(data)) == data
    assert unarmored(armored(data).replace("\n", "\r\n")) == data
    assert unarmored(f"\n{armored(data)}\n") == data
    assert unarmored(armored(data) + "more") is None
    assert unarmored(armored(data).replace("BEGIN", "END")) is None
    assert unarmored(armored(data)[:-40] + "=\n-----END AGE ENCRYPTED FILE-----") is None
    assert unarmored("") is None


@pytest.mark.parametrize(
    ("data", "shared", "expected"),
    [
        (written(), False, True),
        (written(body=65), True, True),
        (written(body=65), False, False),
        (written(), True, False),
        (written(body=63), False, False),
        (written(argument=42), False, False),
        (written(kind="scrypt"), False, False),
        (written(kind="mlkem768x25519"), False, False),
        (written(kind="mlkem768x25519", argument=1494), False, False),
        (written(version=b"age-encryption.org/v2\n"), False, False),
        (b"x" + written(), False, False),
        (b"", False, False),
    ],
)
def test_a_data_key_has_one_size(data: bytes, shared: bool, expected: bool) -> None:
    assert wraps_data_key(RECIPIENT, armored(data), shared=shared) is expected


def test_a_data_key_for_a_post_quantum_recipient_has_another_stanza() -> None:
    quantum = written(kind="mlkem768x25519", argument=1494)
    assert wraps_data_key(RECIPIENT_PQ, armored(quantum), shared=False)
    assert not wraps_data_key(RECIPIENT_PQ, armored(written()), shared=False)


def test_of_a_plugins_recipient_the_version_alone_is_known() -> None:
    plugin = "age1yubikey1" + "q" * 50
    assert wraps_data_key(plugin, armored(written(kind="piv-p256", body=3)), shared=False)
    assert not wraps_data_key(plugin, armored(b"x" + written()), shared=False)
    assert not wraps_data_key(plugin, "no armor", shared=False)


@pytest.mark.parametrize(("size", "shared"), [(32, False), (33, True)])
def test_what_age_itself_writes_has_this_form(size: int, shared: bool) -> None:
    key = subprocess.run([find_tool("age-keygen")], capture_output=True, check=True).stdout
    made = subprocess.run(
        [find_tool("age-keygen"), "-y"], input=key, capture_output=True, check=True
    )
    recipient = made.stdout.decode().strip()
    text = subprocess.run(
        [find_tool("age"), "--armor", "--recipient", recipient], input=bytes(size),
        capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    assert wraps_data_key(recipient, text, shared=shared)
    assert not wraps_data_key(recipient, text, shared=not shared)
