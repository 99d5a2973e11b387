"""Made-up secrets for the cases in tests/data/policy, assembled at run time.

Nothing here is written to the repository: its own tree must pass its own policy and gitleaks.
"""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

_RANDOM = random.Random(20261124)
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

DASHES = "-" * 5
AGE = "AGE-SECRET-" + "KEY-"
PASSWORD = "hunter2" * 2 + "Q"
SHORT = "hunter2"
LINK, UTF16 = "LINK ", "UTF16 "


def pick(alphabet: str, count: int) -> str:
    """Return *count* random characters."""
    return "".join(_RANDOM.choice(alphabet) for _ in range(count))


def noise(count: int) -> bytes:
    """Return *count* random bytes."""
    return _RANDOM.randbytes(count)


def b64(data: str | bytes) -> str:
    """Return *data* in base64."""
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def encrypted_value(kind: str = "str", size: int = 0) -> str:
    """Return a value in the form that sops writes, of *size* bytes."""
    sizes = (size or _RANDOM.randint(1, 60), 32, 16)
    data, iv, tag = (b64(noise(length)) for length in sizes)
    return f"ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:{kind}]"


def age_identity(kind: str = "") -> str:
    """Return an age identity; with *kind* ``PQ-``, a post-quantum one."""
    return AGE + kind + "1" + pick(BECH32, 58).upper()


def recipient() -> str:
    """Return an age recipient."""
    return "age1" + pick(BECH32, 58)


RECIPIENT = recipient()
RECIPIENT_PQ = "age1pq1" + pick(BECH32, 1950)
_PGP = "0123456789ABCDEF0123456789ABCDEF01234567"


def mac() -> str:
    """Return an encrypted SHA-512 in hexadecimal digits."""
    return encrypted_value(size=128)


def wrapped_key(recipient: str, size: int = 32) -> bytes:
    """Return a data key of *size* bytes as age encrypts it."""
    quantum = recipient.startswith("age1pq1")
    kind, length = ("mlkem768x25519", 1120) if quantum else ("X25519", 32)
    argument, body, check = (b64(noise(count)).rstrip("=") for count in (length, 32, 32))
    header = f"age-encryption.org/v1\n-> {kind} {argument}\n{body}\n--- {check}\n"
    return header.encode() + noise(16 + size + 16)


def armored(kind: str, content: bytes | None = None) -> list[str]:
    """Return *content*, or random bytes, as lines of an armor of a *kind*."""
    body = b64(noise(200) if content is None else content)
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return [f"{DASHES}BEGIN {kind}{DASHES}", *lines, f"{DASHES}END {kind}{DASHES}"]


def age_armor(recipient: str, size: int = 32) -> list[str]:
    """Return a data key of *size* bytes, wrapped for *recipient*, as lines of age's armor."""
    return armored("AGE ENCRYPTED FILE", wrapped_key(recipient, size))


def _entry(key: str, value: str, kind: str = "", indent: str = "    ", size: int = 32) -> str:
    armor = armored(kind) if kind else age_armor(value, size)
    lines = "".join(f"{indent}    {line}\n" for line in armor)
    return f"{indent}- {key}: {value}\n{indent}  enc: |\n{lines}"


def sops_block(*recipients: str, options: str = "", with_mac: bool = True, more: str = "") -> str:
    """Return a ``sops`` block in YAML for age recipients; *more* adds other kinds of recipients."""
    age = "    age:\n" + "".join(_entry("recipient", name) for name in recipients)
    block = "sops:\n" + (age if recipients else "    age: []\n") + more
    block += '    lastmodified: "2026-11-24T10:00:00Z"\n'
    if with_mac:
        block += f"    mac: {mac()}\n"
    return block + f"    {options or AGREED}\n    version: 3.13.3"


AGREED = "encrypted_regex: ^(data|stringData)$"


def _encrypted_item() -> str:
    text = f"apiVersion: v1\nkind: Secret\ndata:\n  a: {encrypted_value()}\n{sops_block(RECIPIENT)}"
    return text.replace("\n", "\n  ")


def _sops_json() -> str:
    enc = "\\n".join(age_armor(RECIPIENT))
    return (
        f'{{"age":[{{"recipient":"{RECIPIENT}","enc":"{enc}"}}],'
        f'"lastmodified":"2026-11-24T10:00:00Z","mac":"{mac()}","version":"3.13.3"}}'
    )


def _sops_flat(prefix: str, sign: str) -> str:
    fields = {
        "age__list_0__map_enc": "\\n".join(age_armor(RECIPIENT)),
        "age__list_0__map_recipient": RECIPIENT,
        "lastmodified": "2026-11-24T10:00:00Z",
        "mac": mac(),
        "unencrypted_suffix": "_unencrypted",
        "version": "3.13.3",
    }
    return "\n".join(f"{prefix}{key}{sign}{value}" for key, value in fields.items())


def _pem_body(kind: str = "") -> str:
    # A PKCS#8 body starts with an ASN.1 sequence, "MI" in base64.
    body = "MII" + pick(ALNUM, 400)
    lines = "\n".join(body[start : start + 64] for start in range(0, len(body), 64))
    return f"PRIVATE KEY{kind}{DASHES}\n{lines}\n{DASHES}END "


def pem(kind: str = "RSA ") -> str:
    """Return a private key in PEM form."""
    return f"{DASHES}BEGIN {kind}{_pem_body()}{kind}PRIVATE KEY{DASHES}"


def _certificate(indent: str = "") -> str:
    return ("\n" + indent).join(armored("CERTIFICATE"))


def _wrapped(text: str, width: int = 60) -> str:
    return "\n".join(text[start : start + width] for start in range(0, len(text), width))


def _split_identity() -> str:
    text = age_identity()
    return "\n    ".join(f'"{text[start : start + 20]}"' for start in range(0, len(text), 20))


def _dotenv_in_base64() -> str:
    return b64(f"A={encrypted_value()}\n{_sops_flat('sops_', '=')}\n")


_TOKENS: Mapping[str, Callable[[], str]] = {
    "short": lambda: SHORT,
    "short_b64": lambda: b64(SHORT),
    "password": lambda: PASSWORD,
    "strong": lambda: "Tr0ub4dor" + "&3x",
    "pin": lambda: "4711",
    "dollar": lambda: "${DB_PASSWORD}",
    "login_b64": lambda: b64(f"u:{PASSWORD}"),
    "enc": encrypted_value,
    "lookalike": lambda: "ENC[AES256_GCM,data:abc,iv:abc,tag:abc,type:str]",
    "lookalike_short": lambda: f"ENC[{SHORT}]",
    "ini": lambda: "[db]\n    user = app",
    "url_escaped": lambda: "http:\\/\\/db",
    "state": lambda: '{"version": 4, "resources": []}',
    "sops_binary": lambda: f'{{"data":"{encrypted_value()}","sops":{_sops_json()}}}',
    "mask": lambda: "**SOPS**",
    "mask_b64": lambda: b64("**SOPS**"),
    "encrypted_item": _encrypted_item,
    "sops": lambda: sops_block(RECIPIENT),
    "sops_all": lambda: sops_block(RECIPIENT, options="unencrypted_suffix: _unencrypted"),
    "sops_typo": lambda: sops_block(RECIPIENT, options="encrypted_regex: ^(data|stringdata)$"),
    "sops_data_only": lambda: sops_block(RECIPIENT, options="encrypted_regex: ^data$"),
    "sops_no_mac": lambda: sops_block(RECIPIENT, with_mac=False),
    "sops_no_recipients": sops_block,
    "sops_mixed": lambda: sops_block(RECIPIENT, RECIPIENT_PQ),
    "sops_pq": lambda: sops_block(RECIPIENT_PQ),
    "sops_pgp": lambda: sops_block(more="    pgp:\n" + _entry("fp", _PGP, "PGP MESSAGE")),
    "sops_kms": lambda: sops_block(
        more=f"    kms:\n    - arn: arn:aws:kms:eu:1:key/a\n      enc: {b64('wrapped key')}\n"
    ),
    "sops_groups": lambda: sops_block(
        more="    key_groups:\n    - age:\n"
        + _entry("recipient", RECIPIENT, indent="      ", size=33)
        + "    - pgp:\n"
        + _entry("fp", _PGP, "PGP MESSAGE", indent="      ")
        + "    shamir_threshold: 2\n"
    ),
    "sops_unencrypted_regex": lambda: sops_block(
        RECIPIENT, options="unencrypted_regex: ^(apiVersion|kind|metadata|type)$"
    ),
    "sops_json": _sops_json,
    "sops_dotenv": lambda: _sops_flat("sops_", "="),
    "flat_metadata": lambda: "# sops_mac=\nsops_mac = x",
    "sops_ini": lambda: _sops_flat("", " = "),
    "sops_file_b64": _dotenv_in_base64,
    "age": age_identity,
    "age_pq": lambda: age_identity("PQ-"),
    "age_lower": lambda: age_identity().lower(),
    "age_b64": lambda: b64(f"# created: today\n{age_identity()}\n"),
    "age_b64_wrapped": lambda: _wrapped(b64(f"# created: today\n{age_identity()}\n")),
    "age_split": _split_identity,
    "age_plugin": lambda: "AGE-PLUGIN-" + "YUBIKEY-1" + pick(BECH32, 40).upper(),
    "recipient": lambda: RECIPIENT,
    "recipient_pq": lambda: RECIPIENT_PQ,
    "ssh_public": lambda: "AAAAC3NzaC1lZDI1NTE5AAAAI" + pick(ALNUM, 43),
    "pem_begin": lambda: f"{DASHES}BEGIN ",
    "pem_body": _pem_body,
    "pem_end": lambda: f"PRIVATE KEY{DASHES}",
    "pgp_body": lambda: _pem_body(" BLOCK") + f"PGP PRIVATE KEY BLOCK{DASHES}",
    "pem_escaped": lambda: pem("").replace("\n", "\\n"),
    "pem_b64": lambda: b64(pem()),
    "openssh_body": lambda: "b3BlbnNzaC1rZXkt" + "djEA" + pick(ALNUM, 300),
    "putty": lambda: (
        "PuTTY-User-" + "Key-File-3: ssh-ed25519\nPrivate-" + f"Lines: 1\n{b64('x' * 30)}"
    ),
    "certificate": _certificate,
    "certificate4": partial(_certificate, "    "),
    "certificate_b64": lambda: b64(_certificate()),
    "htpasswd": lambda: "u:$apr" + "1$" + pick(ALNUM, 8) + "$" + pick(ALNUM, 22),
    "token": lambda: pick(ALNUM, 40),
    "github": lambda: "gh" + "p_" + pick(ALNUM, 36),
    "aws": lambda: "AKIA" + pick("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16),
    "jwt": lambda: ".".join(
        (b64('{"alg":"HS256","typ":"JWT"}'), b64('{"sub":"1","name":"ann"}'), pick(ALNUM, 43))
    ),
    "sealed": lambda: b64((512).to_bytes(2, "big") + noise(560)),
    "sops_made_up": lambda: re.sub(
        r"enc: \|\n(?: +.*\n)+?(?=    [a-z])", "enc: anything\n", sops_block(RECIPIENT)
    ),
    "sops_threshold": lambda: sops_block(RECIPIENT, more="    shamir_threshold: 2\n"),
    "sops_no_time": lambda: sops_block(RECIPIENT).replace("2026-11-24T", "yesterday, "),
    "sops_short_mac": lambda: re.sub(
        r"mac: .*", f"mac: {encrypted_value(size=64)}", sops_block(RECIPIENT)
    ),
    "sops_other_key": lambda: sops_block(RECIPIENT_PQ).replace(RECIPIENT_PQ, RECIPIENT),
    "sops_bad_pattern": lambda: sops_block(RECIPIENT, options="unencrypted_regex: ^(?!data)"),
    "sum_b64": lambda: b64(noise(32)),
    "sha256": lambda: pick("0123456789abcdef", 64),
    "sha1": lambda: pick("0123456789abcdef", 40),
    "png": lambda: b64(b"\x89PNG\r\n\x1a\n" + noise(600)),
    "copied_to": lambda: "/data/note",
    "pointer_to_data": lambda: "/data",
    "field_of_data": lambda: "data.note",
    "helm_if": lambda: "{{- if .Values.enabled }}",
    "helm_value": lambda: "{{ .Values.password | b64enc | quote }}",
    "helm_end": lambda: "{{- end }}",
}
_TOKEN = re.compile(r"\{\{ (" + "|".join(_TOKENS) + r") \}\}")


def render(text: str) -> str:
    """Return *text* with its ``{{ token }}`` marks filled in; other templates stay.

    The same text always gets the same tokens: gitleaks ignores tokens that contain certain words,
    which happens to about one random token in a hundred.
    """
    _RANDOM.seed(text)
    return _TOKEN.sub(lambda match: _TOKENS[match[1]](), text)


def write_case(case: Path, folder: Path) -> Path:
    """Write the rendered *case* below *folder* and return its path.

    A case is named ``<scenario>.<extension>`` or, if its path matters, ``<scenario>@<path>`` with
    ``+`` for ``/``. A text that starts with ``LINK`` becomes a symbolic link; a text that starts
    with ``UTF16`` is written in that encoding.
    """
    scenario, marked, path = case.name.partition("@")
    target = folder / (scenario + "-dir" if marked else "") / (path or scenario).replace("+", "/")
    target.parent.mkdir(parents=True, exist_ok=True)
    text = case.read_bytes().decode()
    if text.startswith(LINK):
        target.symlink_to(text.removeprefix(LINK))
    elif text.startswith(UTF16):
        target.write_bytes(render(text.removeprefix(UTF16)).encode("utf-16"))
    else:
        target.write_bytes(render(text).encode())
    return target
