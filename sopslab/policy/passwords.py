"""Passwords in configuration: what gitleaks leaves out because it has too little entropy.

Only keys that name a password or a token count, and only values that somebody could log in with:
no templates, references, fillers, paths, names of objects or words of a schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sopslab.policy import ciphertext, documents, placeholders, published, sops
from sopslab.policy.documents import Mapping, Node, Scalar
from sopslab.policy.findings import Hit, key_path
from sopslab.policy.later import later
from sopslab.policy.lines import Lines

_PASSWORD_KEY = later(
    r"(?:^|_)(?:password|passwd|pass_?phrase|passwort|pwd|pass|db_?pass|mysql_?pwd)$"
)
_TOKEN_KEY = later(
    r"(?:^|_)(?:(?:secret|api|access|auth|private|signing|encryption|master|account|shared|storage|"
    r"subscription|license|session|cookie|jwt|hmac|webhook|app|deploy|service|root|admin)_?"
    r"(?:access_?)?(?:key|token|secret|pass)|client_?secret|token|secret|bearer|credentials?|"
    r"private_?key(?:_data)?|secret_?key_?base|dsn)$"
)
# Keys that say whether there is a password, or how one is made: `--generate-password=64,letters`.
_SAYS_HOW = later(r"(?:generate|requires?|has|show|hide|forgot|enable|disable|allow|validate)_")
_CAMEL = later(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LINE = later(
    r"""^[ \t]*(?:export[ ]+|set[ ]+|ENV[ ]+|ARG[ ]+|-[ ]+)?["']?([A-Za-z_][\w.-]{1,80})["']?[ \t]*
    (?:=>|:=|[=:])[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([^\s"'#;,][^\s#;,]*))""",
    re.MULTILINE | re.VERBOSE,
)
_COMMENTED = later(
    r"""(?:^[ \t]*|[ \t])(?:\#+|//+|;+|--|<!--)[ \t]*(?:-[ ]+|export[ ]+)?
    ["']?([A-Za-z_][\w.-]{1,80})["']?[ \t]*(?:=>|:=|[=:])[ \t]*(?:&[\w-]+[ \t]+)?
    (?:"([^"\n]*)"|'([^'\n]*)'|([^\s"'#;,][^\s#;,]*))""",
    re.MULTILINE | re.VERBOSE,
)
_PART = later(
    r"(?:^|[;&?\s])(?:password|pwd|accountkey|sharedaccesskey)=([^;&\s\"']{6,})", re.IGNORECASE
)
_URL = later(
    r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>{}$]{0,64}:([^\s/@\"'<>{}]{3,128})@[\w.\[{$-]",
    re.IGNORECASE,
)
_AUTHORIZATION = later(
    r"authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|token)\s+([A-Za-z0-9._~+/=-]{12,})",
    re.IGNORECASE,
)
_HASH = later(
    r"(?:^|[\s\"'=,;\[])[\w.@-]{1,64}:"
    r"(?:\${1,2}(?:apr1|2[abxy]|1|5|6|y|argon2\w*)\$|\{S?SHA\d*\})[A-Za-z0-9./$+=,]{20,}",
    re.MULTILINE,
)
# Compose files double each dollar sign.
_D = r"\${1,2}"
_BARE_HASH = later(
    rf"(?<![\w$])(?:{_D}2[abxy]{_D}\d\d{_D}[./A-Za-z0-9]{{53}}"
    rf"|{_D}[56]{_D}(?:rounds=\d+{_D})?[./A-Za-z0-9]{{1,16}}{_D}[./A-Za-z0-9]{{43,86}}"
    rf"|{_D}(?:apr1|1){_D}[./A-Za-z0-9]{{1,8}}{_D}[./A-Za-z0-9]{{22}}"
    rf"|{_D}(?:y|gy|7){_D}[./A-Za-z0-9]+{_D}[./A-Za-z0-9]{{1,86}}{_D}[./A-Za-z0-9]{{43}}"
    rf"|{_D}argon2(?:id|i|d){_D}v=\d+{_D}m=\d+,t=\d+,p=\d+{_D}[A-Za-z0-9+/]{{8,}}{_D}[A-Za-z0-9+/]{{20,}}"
    rf"|{_D}pbkdf2(?:-sha\d+)?{_D}\d+{_D}[./A-Za-z0-9]{{8,}}{_D}[./A-Za-z0-9]{{20,}}"
    rf"|pbkdf2_sha\d+{_D}\d+{_D}[A-Za-z0-9]{{6,}}{_D}[A-Za-z0-9+/=]{{40,}}"
    r"|SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]{16,}\$[A-Za-z0-9+/=]{40,}:[A-Za-z0-9+/=]{40,}"
    r"|\{(?:S?SHA\d*|CRYPT|PBKDF2[\w-]*)\}[A-Za-z0-9+/=.$]{28,})(?![\w./])"
)
_HOOK = later(
    r"https?://(?:[\w.-]*\bdiscord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d{10,}/([\w-]{30,})"
    r"|hooks\.slack\.com/(?:services|workflows|triggers)/([\w/-]{30,})"
    r"|[\w.-]+\.webhook\.office\.com/webhookb?2?/([\w@/-]{60,})"
    r"|hooks\.zapier\.com/hooks/catch/(\d+/[\w]{5,})"
    r"|maker\.ifttt\.com/trigger/[\w-]+/(?:json/)?with/key/([\w-]{15,})"
    r"|(?:hc-ping|healthchecks|nosnch)[\w.-]*\.?(?:com|io|in)/(?:ping/)?([0-9a-f-]{10,})"
    r"|api\.telegram\.org/bot(\d{6,}:[\w-]{30,})"
    r"|[\w.-]+(?::\d+)?/hooks/([a-z0-9]{26}|[\w]{15,}/[\w]{20,})"
    r"|[\w.-]+(?::\d+)?/api/webhook/([0-9a-f]{32,}|[\w-]{30,})"
    r"|[\w.-]+(?::\d+)?/webhooks?/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22,}))",
    re.IGNORECASE,
)
_QUERY = later(
    r"https?://[^\s\"'<>]{3,300}?[?&](?:token|access_token|api_?key|auth|sig|secret|key|password|"
    r"X-Amz-Signature)=([\w%+/=.~-]{16,})",
    re.IGNORECASE,
)
_LITERAL = later(
    r"--(?:from-literal|set(?:-string)?)[=\s][ \t]*[\"']?([\w.-]{1,80})="
    r"(?:\"([^\"\n]*)\"|'([^'\n]*)'|([^\s\"';&|),]+))"
)
_OPTION = later(r"\s--([\w-]{0,40}(?:password|token|secret))[= ][\"']?([^\s\"';&|)]{6,256})")
_ADD = later(r"<add\s+key=\"([\w.:-]{1,80})\"\s+value=\"([^\"\n]{6,256})\"")
_ELEMENT = later(r"<([A-Za-z][\w.-]{1,60})>([^<>\n]{6,256})</\1>")
_ASSIGNED = later(
    r"\b(\w{0,60}(?:password|passwd|passphrase|pwd))[\"'\]]*\s*(?::=|=|:)\s*[\"'`]([^\"'`\n]{8,128})[\"'`]",
    re.IGNORECASE,
)
_ARGUMENT = later(r"--?([A-Za-z][\w.-]*)[=\s](\S+)")
_NAME_LIKE = later(r"[a-z0-9]+(?:[-.][a-z0-9]+)+")
_OBJECT_NAME = later(
    r"(?:secret|token|key|password|passwd|credential|auth|config|cert|tls)s?(?:$|[-.])", re.I
)
_NAMING = frozenset(
    {
        "name",
        "key",
        "namespace",
        "optional",
        "kind",
        "apiversion",
        "group",
        "property",
        "version",
        "remotekey",
        "conversionstrategy",
        "decodingstrategy",
        "metadatapolicy",
        "matchlabels",
    }
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


def _snake(key: str) -> str:
    return _CAMEL.sub("_", key).lower().replace("-", "_").replace(".", "_")


def _kind(key: str) -> str:
    """Return "password" or "token" if a key, in any spelling, names one; else an empty string."""
    snake = _snake(key)
    if _SAYS_HOW.match(snake):
        return ""
    if _PASSWORD_KEY.search(snake):
        return "password"
    if "existing_" in snake:
        # The name of a Secret, or of a key in it.
        return ""
    return "token" if _TOKEN_KEY.search(snake) else ""


def is_secret_key(key: str) -> bool:
    """True for a key that names a password or a token, in any spelling."""
    return bool(_kind(key))


_PHRASE_KEY = later(r"(?:^|_)(?:pass_?phrase|phrase|mnemonic|seed(?:_phrase)?)$")
_PROSE = later(
    r"\b(?:a|an|the|is|are|be|your|you|my|our|to|for|of|and|or|in|on|at|with|by|from|must|should|"
    r"can|not|no|new|old|this|that|if|enter|please|set|use|used|see|same|as|user|name|login|reset|"
    r"forgot|change|confirm|invalid|required|least|character|characters|generate|generated|"
    r"\w*(?:pass|pwd|mot|geheim|contras|secret|token|key)\w*)\b|[(){}<>:?]|\.\s|\.$|://",
    re.IGNORECASE,
)


_ODD = later(r"\d{2}|[A-Za-z]\d|\d[A-Za-z]|\w[!#$%&*+=@^~]")


def _is_passphrase(key: str, value: str) -> bool:
    """True for words between single spaces that are not a sentence about a password."""
    words = value.split(" ")
    if not 2 <= len(words) <= 24 or "" in words or _PROSE.search(value):
        return False
    if not all(word.isascii() and word.isprintable() for word in words):
        return False
    if any(_ODD.search(word) for word in words):
        return len(value) >= 10
    plain = all(re.fullmatch(r"[a-z]{3,12}", word) for word in words)
    is_phrase = bool(_PHRASE_KEY.search(_snake(key)))
    return plain and len(words) >= (3 if is_phrase else 4)


def is_real(key: str, value: str, *, in_shell: bool = False) -> bool:
    """True if *value* under *key* is a password or token that could be in use.

    + in_shell: whether a shell reads the value, and so expands variables anywhere in it
    """
    kind = _kind(key)
    if not kind or not 6 <= len(value) <= 512:
        return False
    if placeholders.is_placeholder(value, in_shell=in_shell) or sops.LOOKS_ENCRYPTED.match(value):
        return False
    if ciphertext.is_foreign(value) or published.holds(value) or _BARE_HASH.search(value):
        return False
    if re.search(r"\s", value):
        return kind == "password" and _is_passphrase(key, value)
    if value.lower() == key.lower() or "://" in value or value.startswith("projects/"):
        return False
    varied = _classes(value)
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


def _is_reference(key: str, value: Node) -> bool:
    """True for a mapping under the name of a reference that has only the fields of a reference."""
    if key.lower() in ("remoteref", "secretkeyref", "configmapkeyref", "secretref"):
        return {name.lower() for name, _, _ in documents.entries(value)} <= _NAMING
    return False


def _is_named(key: str, path: tuple[str, ...], value: Node, beside: frozenset[str]) -> bool:
    """True if *value* names keys and objects: a reference, or what an ExternalSecret maps."""
    lowered = key.lower()
    if lowered == "secretkey":
        # A field of an ExternalSecret, or of the match of a PushSecret.
        return bool(beside & {"remoteref", "sourceref"}) or path[-1:] == ("match",)
    if not lowered.endswith(("ref", "refs", "selector")):
        return False
    parts = value.value if isinstance(value, documents.Sequence) else [value]
    return all(
        isinstance(part, Mapping)
        and {name.lower() for name, _, _ in documents.entries(part)} <= _NAMING
        for part in parts
    )


def _only_names(root: Node, nodes: set[int]) -> set[int]:
    """Return the lines of the values whose ids are in *nodes*, if no other long value is there."""
    others: set[int] = set()
    named: set[int] = set()
    for node in documents.walk(root):
        if isinstance(node, Mapping | documents.Sequence):
            values = node.value if isinstance(node, documents.Sequence) else _values_of(node)
            for leaf in values:
                if isinstance(leaf, Scalar) and id(leaf) in nodes:
                    named.add(documents.line_of(leaf))
                elif isinstance(leaf, Scalar) and len(leaf.value) >= 10:
                    others.add(documents.line_of(leaf))
    return named - others


def _values_of(node: Mapping) -> list[Node]:
    return [value for _, value in node.value]


def _names(node: Node) -> Iterator[int]:
    for _, leaf in documents.leaves(node):
        yield id(leaf)


def in_document(root: Node, names: set[int] | None = None) -> Iterator[Hit]:
    """Yield the passwords in a YAML or JSON document that is not a Secret.

    + names: the set to which the lines that only name something are added
    """
    nodes: set[int] = set()
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
            beside = frozenset(key.lower() for key, _, _ in pairs)
            if {"name", "key"} <= beside <= _NAMING:
                nodes.update(_names(node))
            for key, _, value in pairs:
                if key.lower() in _REFERENCES or _is_named(key, path, value, beside):
                    if _is_named(key, path, value, beside) or _is_reference(key, value):
                        nodes.update(_names(value))
                    continue
                if isinstance(value, Scalar) and placeholders.is_reference_tag(value.tag):
                    continue
                if isinstance(value, Scalar) and ciphertext.is_secure(key, str(value.value)):
                    nodes.update(_names(value))
                elif isinstance(value, Scalar) and is_real(key, documents.text_of(value)):
                    yield _hit(documents.line_of(value), *path, key)
                else:
                    stack.append(((*path, key), value))
        elif isinstance(node, Scalar):
            yield from _in_scalar(path, node)
        else:
            stack.extend(
                ((*path, str(index)), item) for index, item in enumerate(documents.children(node))
            )
    if names is not None and nodes:
        names |= _only_names(root, nodes)


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


def in_comments(text: str) -> Iterator[Hit]:
    """Yield the passwords in comments of the form ``# key: value``: they are in Git all the same.

    Charts show defaults there, so a value has to be more varied than elsewhere.
    """
    lines = Lines(text)
    for match in _COMMENTED.finditer(text):
        value = _value(match)
        if _is_only_named(match, text):
            continue
        if is_real(match[1], value) and (_kind(match[1]) == "token" or _classes(value) >= 3):
            yield _hit(lines.at(match.start(1)), match[1])


def _is_only_named(match: re.Match[str], text: str) -> bool:
    """True for a YAML alias, and for the name of a key that an ExternalSecret is to write."""
    bare = match[4] or ""
    if bare.startswith("*"):
        return f"&{bare[1:]}" in text
    return match[1].lower() == "secretkey" and bool(_KEY_NAME.fullmatch(_value(match)))


def _classes(value: str) -> int:
    """Return how many kinds of characters there are: small and large letters, digits, others."""
    forms = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]")
    return sum(bool(re.search(form, value)) for form in forms)


def _value(match: re.Match[str]) -> str:
    return next((group for group in match.groups()[1:] if group is not None), "")


# Quotes inside of an expression end the matched text too soon: `"${data["password"]}"`.
_CUT = later(r"\$\{[^{}]*$")
# The beginning of a mapping, whose keys are judged one by one.
_OPENS = later(r"\{(?=[\"'])")


def in_lines(text: str, *, quoted: bool = False, in_shell: bool = False) -> Iterator[Hit]:
    """Yield the passwords in ``key = value`` or ``key: value`` lines of *text*.

    + quoted: whether only quoted text is a value
    + in_shell: whether a shell reads *text*, and so expands variables anywhere in a value
    """
    lines = Lines(text)
    for match in _LINE.finditer(text):
        if not _kind(match[1]) or (quoted and match[4] is not None):
            continue
        if _CUT.search(match[2] or "") if quoted else _OPENS.match(match[4] or ""):
            continue
        expands = in_shell and match[3] is None
        found = is_real(match[1], _value(match), in_shell=expands)
        if not found and match[4] is not None and not in_shell:
            rest = text[match.start(4) : text.find("\n", match.start(4)) % (len(text) + 1)]
            rest = re.split(r"\s[#;]", rest, maxsplit=1)[0].strip()
            found = " " in rest and is_real(match[1], rest)
        if found:
            yield _hit(lines.at(match.start(1)), match[1])
    yield from in_comments(text)
    if "--" in text:
        for match in _LITERAL.finditer(text):
            value = match[2] or match[3] or match[4] or ""
            is_literal = _is_of_a_secret(text, match) and len(value) >= 4
            if is_real(match[1], value) or (is_literal and not placeholders.is_placeholder(value)):
                yield _hit(lines.at(match.start(1)), match[1])
    for pattern, mark in ((_OPTION, "--"), (_ELEMENT, "</"), (_ADD, "<add")):
        for match in pattern.finditer(text) if mark in text else ():
            if is_real(match[1], match[2]):
                yield _hit(lines.at(match.start(1)), match[1])


# Keys of what a Secret holds besides the secret itself: who logs in, and where.
_WHO_OR_WHERE = later(
    r"(?:^|_)(?:user|admin|client|tenant|account|project|login)_?(?:id|name)$"
    r"|^(?:user|login|host|hostname|port|region|bucket|database|db_?name|email|namespace)$"
)
_KINDS_MADE = later(r"\b(configmap|cm|secret)\b")


def _is_of_a_secret(text: str, literal: re.Match[str]) -> bool:
    """True for a literal that `kubectl create` puts into a Secret, and that is itself a secret.

    One that says who logs in, or where, is none.
    """
    if not literal[0].startswith("--from-literal"):
        return False
    made = _KINDS_MADE.findall(text, max(0, literal.start() - 500), literal.start())
    is_config = bool(made) and made[-1] != "secret"
    return not is_config and not _WHO_OR_WHERE.search(_snake(literal[1]))


_KEY_NAME = later(r"[A-Za-z]+(?:[_.-][A-Za-z]+)*\d{0,2}")
_HEREDOC = later(r"<<[-~]?[\"']?([A-Za-z_]\w{0,80})[\"']?[^\n<]*$")
_BLOCK_MARKS = ("|||", "'''", '"""')
"""Marks that open and close a text over several lines, in Jsonnet, Bicep and Groovy."""
_NIX_MARKS = ("''",)
"""The same in Nix; in other languages, two apostrophes are an empty text."""
_EXPRESSION = later(r"[:=][ \t]*(?![\"'`=\s])")
_QUOTED = later(r"[:=(,\[?+|][ \t]*[\"'`][^\"'`\n]{8,}[\"'`]")
# A digest has one of a few lengths, which no token of a known form has.
_SUM = later(
    r"\b(?:sha(?:1|224|256|384|512)|h1|zh|md5|blake3|sri)[-:=](?:[A-Za-z0-9+/]{22}=="
    r"|[A-Za-z0-9+/]{27}=|[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{64}|[A-Za-z0-9+/]{86}=="
    r"|[0-9a-fA-F]{32}(?:[0-9a-fA-F]{8})?)(?![A-Za-z0-9+/=])"
    r"|(?<![0-9A-Za-z])(?:[0-9a-f]{128}|[0-9a-f]{96}|[0-9a-f]{64}|[0-9a-f]{40}|[0-9A-F]{64}"
    r"|[0-9A-F]{40})(?![0-9A-Za-z])"
)


def _text_blocks(text: str, is_nix: bool) -> Iterator[tuple[int, int, list[str]]]:
    """Yield (first line, last line, lines) of each block of text, with the lines of its marks."""
    first, mark, block = 0, "", list[str]()
    marks = _NIX_MARKS if is_nix else _BLOCK_MARKS
    for number, line in enumerate(text.split("\n"), 1):
        if first:
            block.append(line)
            bare = line.strip()
            closes = mark in line if mark in marks else bare.startswith(mark)
            if closes:
                yield first, number, block
                first = 0
            continue
        heredoc = _HEREDOC.search(line) if "<<" in line else None
        odd = next((m for m in marks if line.count(m) % 2), "")
        if heredoc or odd:
            first, mark = number, heredoc[1] if heredoc else odd
            block = ["" if heredoc else line.rpartition(odd)[2]]
    if first:
        yield first, first + len(block) - 1, block


def in_expressions(text: str, *, is_nix: bool = False) -> Iterator[Hit]:
    """Yield the passwords in a language of expressions, such as HCL or Jsonnet.

    A text stands in quotes there, or in a block of text; anything else is an expression.
    """
    yield from in_lines(text, quoted=True)
    for first, _, block in _text_blocks(text, is_nix):
        for hit in in_lines("\n".join(block)):
            yield Hit(first - 1 + hit.line, hit.rule, hit.message)


def expression_lines(text: str, *, is_nix: bool = False) -> Iterator[int]:
    """Yield the lines, in such a language, that assign an expression and hold no quoted text."""
    inside = set[int]()
    for first, last, _ in _text_blocks(text, is_nix):
        inside |= set(range(first, last + 1))
    for number, line in enumerate(text.split("\n"), 1):
        if number not in inside and _EXPRESSION.search(line) and not _QUOTED.search(line):
            yield number


def without_sums(text: str) -> str:
    """Return *text* without its checksums, which are public and look random."""
    return _SUM.sub("SUM", text)


def in_source(text: str) -> Iterator[Hit]:
    """Yield passwords in quotes in source code that have too little entropy for gitleaks."""
    lines = Lines(text)
    for match in _ASSIGNED.finditer(text):
        if _classes(match[2]) >= 3 and is_real("password", match[2]):
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
    if "$" in text or "SHA" in text or "{CRYPT}" in text:
        found = {lines.at(match.end() - 1) for match in _HASH.finditer(text)}
        found |= {lines.at(match.start()) for match in _BARE_HASH.finditer(text)}
        shown = text.split("\n") if found else []
        for line in sorted(found):
            if not published.holds(shown[line - 1]):
                yield Hit(line, "password-hash", "a password hash")
    if "://" in text and any(word in text for word in ("hook", "/bot", "hc-ping", "nosnch")):
        for match in _HOOK.finditer(text):
            token = next((group for group in match.groups() if group), "")
            if not _stands_for_token(token, match[0]):
                message = "a URL that lets anybody post there"
                yield Hit(lines.at(match.start()), "url-token", message)
    if "://" in text and "=" in text:
        for match in _QUERY.finditer(text):
            if not _stands_for_token(match[1], match[0]) and placeholders.entropy(match[1]) >= 3.2:
                yield Hit(lines.at(match.start()), "url-token", "a URL with a token")


def _stands_for_token(token: str, url: str) -> bool:
    if placeholders.is_placeholder(token) or "example" in url.lower():
        return True
    return not re.search(r"\d", token) or len(set(token)) < 8


def _stands_for_password(word: str, url: str) -> bool:
    lowered = word.lower()
    if lowered in _URL_WORDS or placeholders.is_placeholder(word) or "example" in url.lower():
        return True
    return placeholders.is_template(word) or word.startswith(("%", ":", "(")) or lowered.isdigit()
