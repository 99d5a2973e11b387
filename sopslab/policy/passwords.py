"""Passwords in configuration: what gitleaks leaves out because it has too little entropy.

Only keys that name a password or a token count, and only values that somebody could log in with:
no templates, references, fillers, paths, names of objects or words of a schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sopslab.policy import documents, placeholders, sops
from sopslab.policy.documents import Mapping, Node, Scalar
from sopslab.policy.findings import Hit, key_path
from sopslab.policy.lines import Lines

_PASSWORD_KEY = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|passwort|pwd|pass|db_?pass|mysql_?pwd)$"
)
_TOKEN_KEY = re.compile(
    r"(?:^|_)(?:(?:secret|api|access|auth|private|signing|encryption|master|account|shared|storage|"
    r"subscription|license|session|cookie|jwt|hmac|webhook|app|deploy|service|root|admin)_?"
    r"(?:access_?)?(?:key|token|secret|pass)|client_?secret|token|secret|bearer|credentials?|"
    r"private_?key(?:_data)?|secret_?key_?base|dsn)$"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LINE = re.compile(
    r"""^[ \t]*(?:export[ ]+|set[ ]+|ENV[ ]+|ARG[ ]+|-[ ]+)?["']?([A-Za-z_][\w.-]{1,80})["']?[ \t]*
    (?:=>|:=|[=:])[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([^\s"'#;,][^\s#;,]*))""",
    re.MULTILINE | re.VERBOSE,
)
_PART = re.compile(
    r"(?:^|[;&?\s])(?:password|pwd|accountkey|sharedaccesskey)=([^;&\s\"']{6,})", re.IGNORECASE
)
_URL = re.compile(
    r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>{}$]{0,64}:([^\s/@\"'<>{}]{3,128})@[\w.\[{$-]",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(
    r"authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|token)\s+([A-Za-z0-9._~+/=-]{12,})",
    re.IGNORECASE,
)
_HASH = re.compile(
    r"^[\w.@-]{1,64}:(?:\$(?:apr1|2[aby]|1|5|6|y|argon2\w*)\$|\{SHA\})[A-Za-z0-9./$+=,]{20,}",
    re.MULTILINE,
)
_LITERAL = re.compile(
    r"--(?:from-literal|set(?:-string)?)[=\s][ \t]*[\"']?([\w.-]{1,80})="
    r"(?:\"([^\"\n]*)\"|'([^'\n]*)'|([^\s\"';&|),]+))"
)
_OPTION = re.compile(r"\s--([\w-]{0,40}(?:password|token|secret))[= ][\"']?([^\s\"';&|)]{6,256})")
_ADD = re.compile(r"<add\s+key=\"([\w.:-]{1,80})\"\s+value=\"([^\"\n]{6,256})\"")
_ELEMENT = re.compile(r"<([A-Za-z][\w.-]{1,60})>([^<>\n]{6,256})</\1>")
_ASSIGNED = re.compile(
    r"\b(\w{0,60}(?:password|passwd|passphrase|pwd))[\"'\]]*\s*(?::=|=|:)\s*[\"'`]([^\"'`\n]{8,128})[\"'`]",
    re.IGNORECASE,
)
_ARGUMENT = re.compile(r"--?([A-Za-z][\w.-]*)[=\s](\S+)")
_NAME_LIKE = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)+")
_OBJECT_NAME = re.compile(
    r"(?:secret|token|key|password|passwd|credential|auth|config|cert|tls)s?(?:$|[-.])", re.I
)
_URL_WORDS = frozenset(
    {"pass", "password", "passwd", "pwd", "secret", "token", "user", "x-oauth-basic", "pw", "git"}
)
_REFERENCES = frozenset(
    {
        "secretkeyref",
        "configmapkeyref",
        "secretref",
        "secretrefs",
        "secretname",
        "existingsecret",
        "valuefrom",
        "valuesfrom",
        "remoteref",
        "remoterefs",
        "secretstoreref",
        "fieldref",
        "tokenrequest",
        "properties",
        "required",
        "enum",
        "sops",
    }
)


def _kind(key: str) -> str:
    """Return "password", "token" or nothing for a key in any spelling."""
    snake = _CAMEL.sub("_", key).lower().replace("-", "_").replace(".", "_")
    if _PASSWORD_KEY.search(snake):
        return "password"
    return "token" if _TOKEN_KEY.search(snake) else ""


def is_real(key: str, value: str) -> bool:
    """True if *value* under *key* is a password or token that could be in use."""
    kind = _kind(key)
    if not kind or not 6 <= len(value) <= 512 or re.search(r"\s", value):
        return False
    if placeholders.is_placeholder(value) or sops.LOOKS_ENCRYPTED.match(value):
        return False
    if (
        value.lower() == key.lower()
        or "://" in value
        or value.startswith(("$", "arn:", "projects/"))
    ):
        return False
    varied = bool(re.search(r"[0-9]", value)) + bool(re.search(r"[a-z]", value))
    varied += bool(re.search(r"[A-Z]", value)) + bool(re.search(r"[^A-Za-z0-9]", value))
    if kind == "token":
        long_enough = len(value) >= 16 and placeholders.entropy(value) >= 3.2
        return long_enough and varied >= 2 and not _is_object_name(value)
    if _NAME_LIKE.fullmatch(value) and _OBJECT_NAME.search(value):
        return False
    # One capitalised word is a label in a user interface; a lower-case one may be a password.
    if re.fullmatch(r"[A-Z]?[a-z]+", value):
        return len(value) >= 8 and value.islower()
    return varied >= 2


def _is_object_name(value: str) -> bool:
    """True for names of Kubernetes objects and keys in them, such as ``db-credentials``."""
    if not _NAME_LIKE.fullmatch(value):
        return False
    return bool(_OBJECT_NAME.search(value)) or not re.search(r"\d", value)


def in_document(root: Node) -> Iterator[Hit]:
    """Yield the passwords in a YAML or JSON document that is no Secret."""
    seen: set[int] = set()
    stack: list[tuple[tuple[str, ...], Node]] = [((), root)]
    while stack:
        path, node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Mapping):
            pairs = documents.entries(node)
            yield from _environment_entry(path, pairs)
            for key, _, value in pairs:
                if key.lower() in _REFERENCES:
                    continue
                if isinstance(value, Scalar) and is_real(key, documents.text_of(value)):
                    yield _hit(documents.line_of(value), *path, key)
                else:
                    stack.append(((*path, key), value))
        elif isinstance(node, Scalar):
            yield from _in_scalar(path, node)
        else:
            stack.extend(
                ((*path, str(index)), item) for index, item in enumerate(documents.children(node))
            )


def _in_scalar(path: tuple[str, ...], node: Scalar) -> Iterator[Hit]:
    """Yield the passwords within a value: configuration, an argument, a connection string."""
    text, line = str(node.value), documents.line_of(node)
    if len(text) < 10:
        return
    if "\n" in text:
        for hit in in_lines(text):
            yield Hit(line + hit.line if node.style == "|" else line, hit.rule, hit.message)
        return
    argument = _ARGUMENT.fullmatch(text) if text.startswith("-") else None
    part = _PART.search(text)
    if argument and is_real(argument[1], argument[2].strip("\"'")):
        yield _hit(line, *path, argument[1])
    elif part and not placeholders.is_placeholder(part[1]):
        yield _hit(line, *path)


def _environment_entry(path: tuple[str, ...], pairs: list[tuple[str, Node, Node]]) -> Iterator[Hit]:
    """Yield a ``{name: DB_PASSWORD, value: …}`` pair, as containers and Helm parameters have it."""
    by_key = {key: value for key, _, value in pairs}
    name, value = by_key.get("name"), by_key.get("value")
    if name is not None and value is not None:
        key = documents.text_of(name)
        if is_real(key, documents.text_of(value)):
            yield _hit(documents.line_of(value), *path, key)


def _hit(line: int, *path: str) -> Hit:
    return Hit(line, "password", f"{key_path(*path)} is in plain text")


def in_lines(text: str) -> Iterator[Hit]:
    """Yield the passwords in ``key = value`` or ``key: value`` lines of *text*."""
    lines = Lines(text)
    for match in _LINE.finditer(text):
        value = next((group for group in match.groups()[1:] if group is not None), "")
        if is_real(match[1], value):
            yield _hit(lines.at(match.start(1)), match[1])
    if "--" in text:
        for match in _LITERAL.finditer(text):
            value = match[2] or match[3] or match[4] or ""
            is_literal = match[0].startswith("--from-literal") and len(value) >= 4
            if is_real(match[1], value) or (is_literal and not placeholders.is_placeholder(value)):
                yield _hit(lines.at(match.start(1)), match[1])
    for pattern, mark in ((_OPTION, "--"), (_ELEMENT, "</"), (_ADD, "<add")):
        for match in pattern.finditer(text) if mark in text else ():
            if is_real(match[1], match[2]):
                yield _hit(lines.at(match.start(1)), match[1])


def in_source(text: str) -> Iterator[Hit]:
    """Yield passwords in quotes in source code that have too little entropy for gitleaks."""
    lines = Lines(text)
    for match in _ASSIGNED.finditer(text):
        classes = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]")
        varied = sum(bool(re.search(pattern, match[2])) for pattern in classes)
        if varied >= 3 and is_real("password", match[2]):
            yield _hit(lines.at(match.start(1)), match[1])


def in_text(text: str) -> Iterator[Hit]:
    """Yield URLs with a password, authorization headers and password hashes in *text*."""
    lines = Lines(text)
    if "://" in text:
        for match in _URL.finditer(text):
            if not _stands_for_password(match[1], match[0]):
                yield Hit(lines.at(match.start()), "url-password", "a URL with a password")
    if "uthorization" in text or "UTHORIZATION" in text:
        for match in _AUTHORIZATION.finditer(text):
            if not placeholders.is_placeholder(match[1]):
                message = "an authorization header with its credential"
                yield Hit(lines.at(match.start()), "authorization-header", message)
    if ":$" in text or ":{SHA}" in text:
        for match in _HASH.finditer(text):
            yield Hit(lines.at(match.start()), "password-hash", "a password hash")


def _stands_for_password(word: str, url: str) -> bool:
    lowered = word.lower()
    if lowered in _URL_WORDS or placeholders.is_placeholder(word) or "example" in url.lower():
        return True
    return word.startswith(("$", "%", ":", "(")) or lowered.isdigit()
