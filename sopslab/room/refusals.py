"""What OpenSSH's client says when it cannot reach a machine, what that means, and what helps.

The patterns match the messages of OpenSSH 8.4 to 10. A message is recognised but never shown,
because parts of it may come from machines and jump hosts.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from sopslab.model.machines import Machine


@dataclass(frozen=True)
class Refusal:
    """Why a machine cannot be reached.

    `pattern` matches OpenSSH's message; `again` says whether another try may succeed. In `fix`,
    `{known_hosts}` stands for the lab's file of known hosts, and `{name}` for the machine's name in
    that file.
    """

    id: str
    pattern: str
    text: str
    fix: str
    again: bool = False


LOST = Refusal(
    "lost",
    r"(?i)closed by remote host|broken pipe|connection (to|closed)|disconnect",
    "the connection ended",
    "run the same again, which goes on behind what arrived",
)
# If several match at the same place, the first one counts, so the particular comes before the
# general.
REFUSALS = (
    Refusal(
        "configuration",
        r"(?i)bad configuration option|bad owner or permissions on|terminating, \d+ bad conf"
        r"|missing argument|keyword .* extra arguments",
        "OpenSSH refuses the configuration of this account",
        "run `ssh -G localhost`, which names the line",
    ),
    Refusal(
        "key-changed",
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|POSSIBLE DNS SPOOFING",
        "it shows another host key than the first time",
        "where it was made anew: ssh-keygen -f {known_hosts} -R '{name}'",
    ),
    Refusal(
        "key-unknown",
        r"host key is known for .* and you have requested strict checking",
        "it shows no host key that it is known by",
        "correct the host key in the roster",
    ),
    Refusal(
        "key-unverified",
        r"Host key verification failed",
        "its host key, or that of a jump host, could not be verified",
        "compare its host key with the known key",
    ),
    Refusal(
        "too-many-keys",
        r"Received disconnect from .*: ?Too many authentication failures",
        "it was shown too many keys before the right one",
        "name the key that it takes",
    ),
    Refusal(
        "login",
        r"Permission denied \(|No more authentication methods|Permission denied, please try",
        "it refuses the login",
        "add this account's public key to the ~/.ssh/authorized_keys of the user there, or name"
        " another key or user; a key with a passphrase has to be in an agent",
    ),
    Refusal(
        "algorithms",
        r"Unable to negotiate with|no matching (host key type|key exchange|cipher|mac)",
        "it and this machine have no algorithm in common",
        "update OpenSSH on the older one",
    ),
    Refusal(
        "name",
        r"(?i)could not resolve hostname",
        "its name is not known",
        "correct the host in the roster, or the name server",
    ),
    Refusal(
        "route",
        r"(?i)no route to host|network is unreachable|host is (down|unreachable)",
        "no way leads to it",
        "switch it on, and see whether this machine is in its network",
    ),
    Refusal(
        "refused",
        r"(?i)connection refused",
        "nothing listens there for SSH",
        "start sshd on it, or correct host and port in the roster",
    ),
    Refusal(
        "silent",
        r"(?i)timed out|timeout, server",
        "it does not answer",
        "switch it on, and see whether a firewall is between",
    ),
    Refusal(
        "busy",
        r"(?i)exchange_identification: .*(closed|reset)|Not allowed at this time"
        r"|Exceeded MaxStartups|banner exchange: .*(closed|reset|EOF)|Connection reset by",
        "its sshd ends connections before a login",
        "it may have too many at a time: raise MaxStartups in its sshd_config, or that of the jump"
        " host",
        again=True,
    ),
    LOST,
)
OTHER = Refusal(
    "other",
    r"",
    "OpenSSH could not connect, for a reason that is not known here",
    "run `ssh` to it by hand",
)
HUNG = Refusal(
    "hung",
    r"",
    "it takes connections, and then does not answer",
    "look at its load and its disk, or start it anew",
)
FLOOD = Refusal(
    "flood",
    r"",
    "it sends more than any program of the lab prints",
    "look at what its shell prints at a login",
)


def refusal(words: bytes, otherwise: Refusal = OTHER) -> Refusal:
    """Return the meaning of OpenSSH's messages.

    Text from a server comes after OpenSSH's own, so the match nearest to the beginning counts.

    + otherwise: the meaning if no message is recognised
    """
    text = words.decode("utf-8", "replace")
    found = [(match.start(), each) for each in REFUSALS if (match := re.search(each.pattern, text))]
    return min(found, key=lambda one: one[0], default=(0, otherwise))[1]


def sentence(machine: Machine, found: Refusal, known_hosts: Path) -> str:
    """Return why a machine cannot be reached, and what helps."""
    text, fix = found.text, found.fix
    if found.id == "key-changed" and machine.hostkey is not None:
        text, fix = "it shows another host key than the roster's", "correct whichever is wrong"
    fix = fix.format(known_hosts=shlex.quote(str(known_hosts)), name=machine.known_as)
    return f"{machine}: {text}; {fix}"
