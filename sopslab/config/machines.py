"""How a machine of a room is written: its address, who logs in, its port and its host key.

Pure. Values that pass become arguments of `ssh`, so the checks refuse everything that `ssh` could
take for an option. Each check returns the value, or raises ValueError with what is needed.
"""

from __future__ import annotations

import base64
import binascii
import re

MAX_HOST = 253
# Without `@` and `:`, and without `-` in front: all of these have a meaning of their own for ssh.
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
LOGIN = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,31}")
PORT = re.compile(r"[1-9][0-9]{0,4}")
HOSTKEY = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]{16,2000}={0,2}"
)
HOST_FORM = "the name or the IPv4 address of a machine, such as seat-7.example.org"
LOGIN_FORM = "a login name such as `teacher`"
PORT_FORM = "a port from 1 to 65535"
HOSTKEY_FORM = "a public host key without a comment, such as `ssh-ed25519 AAAA…`"


def check_host(value: str) -> str:
    """Return the name or address of a machine."""
    if not HOST.fullmatch(value) or len(value) > MAX_HOST:
        raise ValueError(f"{HOST_FORM}, is needed")
    return value


def check_login(value: str) -> str:
    """Return a login name."""
    if not LOGIN.fullmatch(value):
        raise ValueError(f"{LOGIN_FORM} is needed")
    return value


def check_port(value: str) -> str:
    """Return the number of a port, as text."""
    if not PORT.fullmatch(value) or int(value) > 65535:
        raise ValueError(f"{PORT_FORM} is needed")
    return value


def check_hostkey(value: str) -> str:
    """Return a public host key, as `/etc/ssh/ssh_host_ed25519_key.pub` begins."""
    if not HOSTKEY.fullmatch(value) or not _is_key(value):
        raise ValueError(f"{HOSTKEY_FORM}, is needed")
    return value


def _is_key(value: str) -> bool:
    """Return whether the second word is a key of the kind that the first one names."""
    kind, _, encoded = value.partition(" ")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return False
    # A key begins with the length of its kind, and that kind once more (RFC 4253, 6.6).
    return key.startswith(len(kind).to_bytes(4, "big") + kind.encode())
