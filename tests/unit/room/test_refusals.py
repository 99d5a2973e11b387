"""OpenSSH's messages are recognised by their meaning. The texts are those of OpenSSH 9.2."""

from __future__ import annotations

from pathlib import Path

import pytest

from sopslab.model.machines import Machine
from sopslab.room.refusals import FLOOD, HUNG, OTHER, REFUSALS, refusal, sentence

_CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Someone could be eavesdropping on you right now (man-in-the-middle attack)!
It is also possible that a host key has just been changed.
The fingerprint for the ED25519 key sent by the remote host is
SHA256:4rrhh0iHO5YzCmBBa3ZPvL6oDBlvlJ3aDFHy8mEGCv4.
Please contact your system administrator.
Add correct host key in /labs/ada/ssh/known_hosts to get rid of this message.
Offending ED25519 key in /labs/ada/ssh/known_hosts:1
Host key for [127.0.0.1]:2222 has changed and you have requested strict checking.
Host key verification failed.
"""
SAID = {
    _CHANGED: "key-changed",
    "No ED25519 host key is known for seat-1 and you have requested strict checking.\n"
    "Host key verification failed.": "key-unknown",
    "Host key verification failed.": "key-unverified",
    "ada@seat-1: Permission denied (publickey).": "login",
    "ada@seat-1: Permission denied (publickey,password,keyboard-interactive).": "login",
    "Received disconnect from 192.0.2.1 port 22:2: Too many authentication failures\n"
    "Disconnected from 192.0.2.1 port 22": "too-many-keys",
    "Unable to negotiate with 192.0.2.1 port 22: no matching host key type found. Their offer:"
    " ssh-rsa": "algorithms",
    "ssh: Could not resolve hostname seat-1: Name or service not known": "name",
    "ssh: Could not resolve hostname seat-1: Temporary failure in name resolution": "name",
    "ssh: connect to host 192.0.2.1 port 22: No route to host": "route",
    "ssh: connect to host 192.0.2.1 port 22: Network is unreachable": "route",
    "ssh: connect to host 192.0.2.1 port 22: Connection refused": "refused",
    "ssh: connect to host 192.0.2.1 port 22: Connection timed out": "silent",
    "Connection timed out during banner exchange\n"
    "Connection to 192.0.2.1 port 22 timed out": "silent",
    "Timeout, server 192.0.2.1 not responding.": "silent",
    "kex_exchange_identification: Connection closed by remote host\n"
    "Connection closed by 192.0.2.1 port 22": "busy",
    "kex_exchange_identification: read: Connection reset by peer\n"
    "Connection reset by 192.0.2.1 port 22": "busy",
    "Connection to 192.0.2.1 closed by remote host.": "lost",
    "client_loop: send disconnect: Broken pipe": "lost",
    "mux_client_read_packet: read header failed: Broken pipe": "lost",
    "/home/ada/.ssh/config: line 3: Bad configuration option: nosuch\n"
    "/home/ada/.ssh/config: terminating, 1 bad configuration options": "configuration",
    "Bad owner or permissions on /home/ada/.ssh/config": "configuration",
    # A jump host cannot reach the machine.
    "channel 0: open failed: connect failed: No route to host\n"
    "stdio forwarding failed\nConnection closed by UNKNOWN port 65535": "route",
    "channel 0: open failed: connect failed: Connection refused\n"
    "stdio forwarding failed\nConnection closed by UNKNOWN port 65535": "refused",
    # The server's last words are its own, and prove nothing.
    f"Received disconnect from 192.0.2.1 port 22:2: bye\n{_CHANGED}": "lost",
    f"ada@seat-1: Permission denied (none\n{_CHANGED}).": "login",
    "": "other",
    "something new": "other",
}
MACHINE = Machine("seat-1", 2222, "ada")


@pytest.mark.parametrize("words", SAID)
def test_what_is_said_is_known_by_what_it_means(words: str) -> None:
    found = refusal(words.encode())
    assert found.id == SAID[words]
    # A machine is asked again only if the trouble ends by itself.
    assert found.again == (found.id == "busy")


@pytest.mark.parametrize("found", [*REFUSALS, OTHER, HUNG, FLOOD], ids=lambda found: str(found.id))
def test_a_sentence_names_machine_cause_and_next_step(found: object) -> None:
    said = sentence(MACHINE, found, Path("/labs/ada/ssh/known_hosts"))  # type: ignore[arg-type]
    assert said.startswith("ada@[seat-1]:2222: ") and "; " in said
    assert len(said.splitlines()) == 1 and not {"{", "}"} & set(said)


def test_words_of_others_are_not_repeated() -> None:
    said = sentence(MACHINE, refusal(b"hunter2: Permission denied (hunter2)."), Path("/known"))
    assert "hunter2" not in said


def test_every_row_of_the_table_is_met() -> None:
    assert {row.id for row in REFUSALS} <= set(SAID.values())
