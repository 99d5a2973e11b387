"""Which values only stand for a value: templates, references and the usual fillers."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter

from sopslab.policy.later import later

# Each pattern is bounded and stops at its own opening mark, so that marks which are never closed do
# not cost quadratic time.
# Between marks that an author may choose stands an expression: a name, and what may follow it.
_EXPRESSION = r"[ \t]{0,9}[A-Za-z_.$][\w.$\[\]'|(): ,?!=~+/\"-]{0,300}"
MARKED = (
    rf"#\{{{_EXPRESSION}\}}#|<%[=~-]?{_EXPRESSION}%>|\[\[{_EXPRESSION}\]\]|\(\({_EXPRESSION}\)\)"
    rf"|<<{_EXPRESSION}>>|@@[A-Za-z_][\w.]{{1,80}}@@|#\{{[A-Za-z_][\w.:/ -]{{0,80}}\}}"
    rf"|%\{{[A-Za-z_][\w.: -]{{0,80}}\}}|%%[A-Za-z_]\w{{1,80}}%%|@\{{[\w.]{{1,80}}\}}"
    rf"|\{{\${_EXPRESSION}\}}|\[%{_EXPRESSION}%\]|#\[\[{_EXPRESSION}\]\]#"
)
# Statements of a template engine, which put in no text: in the marks of Jinja and of makejinja.
STATEMENT = r"\{%[^%]{0,500}%\}|#%[^%]{0,500}%#"
_TEMPLATE = later(
    r"\{\{(?:[^{}]|\{[^{}]{0,60}\}){0,500}\}\}|\$\{[^{}]{0,300}\}|\$\([^()]{0,300}\)|%\([\w.]{1,80}\)s"
    r"|%[A-Z_]{2,80}%|__[A-Z0-9_]{1,80}__|@[A-Z_]{2,80}@|!Ref\b.*"
    rf"|\bENC\[[^\[\]]{{0,9000}}\]|{STATEMENT}|{MARKED}"
)
# A variable by its spelling: `$DB_PASS`, `$db_pass2`, `$dbPass`, but not what `Pl$um77w` holds.
VARIABLE = (
    r"(?<![A-Za-z0-9$])\$\$?(?:[A-Z_][A-Z0-9_]*|[a-z_]+[0-9]{0,2}|[a-z]+(?:[A-Z][a-z]+)+)(?![\w$])"
)
_VARIABLE = later(VARIABLE)
_CAPITALS = later(r"(?<![A-Za-z0-9$])\$[A-Z][A-Z0-9_]{2,}(?![A-Za-z])")
_SHELL = later(r"\$[A-Za-z_0-9@?#*(]|^`")
# The parameters of a connection: `{{ uri }}?sslmode=require`.
_PARAMETERS = later(
    r"(?<=\})(?:[?&](?:sslmode|ssl|tls|charset|timezone|parseTime|encrypt|schema)=[A-Za-z0-9-]{1,16})+$"
)
_DEEPEST = 4
_PUT_IN = "\0"
_NUMBERED = later(r"(?:^|_)(?:P?[UG]ID|(?:USER|GROUP)_ID|PORT)$", re.IGNORECASE)
_ADDRESS = later(
    r"(?:[a-z][a-z0-9+.-]{0,20}://|(?:s3|rest|sftp|b2|gs|azure|swift|rclone):(?:https?://)?)?"
    r"\0(?::(?:\d{1,5}|\0))?(?:/(?:[a-z]+(?:[-_.][a-z]+){0,4}|\0))*/?"
)
# A name before a template; a digit is not allowed in it, since most random text has one.
_FIELD = later(
    r"(?:^[ \t]*(?:-[ \t]+)?|[{,]\s*)[\"']?[A-Za-z_][A-Za-z_.-]{0,60}[\"']?[ \t]*[:=]"
    r"(?=\s*[\"']?(?:[{\[]|\$[{(A-Z]|#\{|<%|@|%))",
    re.MULTILINE,
)
_NAMED = later(
    r"(?=.*(?:SECRET|KEY|TOKEN|PASS|PWD|CREDENTIAL|ENCRYPTION))[A-Z][A-Z0-9]*(?:_[A-Z0-9]+){1,9}"
)
_MARKS = later(r"\{\{|\{%|#\{|#%|#\||<%|\[\[|\(\(|<<\s*[A-Za-z_.]+\s*>>|@@|%%|\$\{\{")
_TAG = later(
    r"!(?:secret|env|env_var|include\w*|ref|sub|getatt|importvalue|vault|var|file|lambda|input|"
    r"reference|if|join|findinmap|select|transform)",
    re.IGNORECASE,
)
_CALL = later(
    r"[A-Za-z_]+(?:\.[A-Za-z_]+)*\((?:[\w.,\s\"'/\[\]-]|\([\w.,\s\"'/-]*\))*\)[\w.\[\]\"']*|"
    r"@[A-Za-z]+(?:\.[A-Za-z]+)+\([^()\s]{1,300}\)"
)
_CHAIN = later(
    r"(?:request|response|object|oldobject|variables|params|status|spec|metadata|resource|body|"
    r"headers|context|inputs|outputs|steps|values|each|path|dependency|random_\w+|tls_\w+|std)"
    r"(?:\.[A-Za-z_]\w*|\[[^\[\]]{1,60}\])+\{?",
    re.IGNORECASE,
)
_ENTITY = later(r"&[A-Za-z]\w*;|\$__\w+\{[^{}]{1,300}\}")
_STORE = later(
    r"op://[\w .-]{1,100}(?:/[\w .?=&-]{1,100}){2,4}"
    r"|(?:ref\+\w+|vault|awssm|gcpsm|bws|doppler)://[\w ./#:%+?=&-]{3,300}"
)
_STORED = later(
    r"(?:file|env|vault|secretref|keyring|keyvault|awssm|gcpsm|azurekv|doppler|bws|k8s|configmap|"
    r"fromenv|secret(?=:[\w-]+/)):/{0,3}[\w.~$-][\w./~${}-]*(?:[#:?|][\w./-]+){0,3}",
    re.IGNORECASE,
)
_REFERENCE = later(
    r"(?:var|local|data|module|env|secrets|vars|os|process|config|settings|self|this|args?|"
    r"ref\+\w+|vault|op|arn|secretsmanager|ssm)(?:\.|:/?/?)\S+|!vault.*|(?:~|\.{1,2})?/[\w./-]+",
    re.IGNORECASE,
)
_ANGLE = later(
    r"<[^<>]{1,80}>|\[[^\[\]]{1,60}\]|\{[\w .-]{1,60}\}"
    r"|\{(?:env|file|secret|vault|var):[\w./~-]{1,80}\}"
)
_FILLER = later(
    r"(?:x{3,}|\*{3,}|\.{3,}|…|redact|chang[e_-]*(?:me|it|this)|replace|example|placehold|dummy|"
    r"\b(?:your|my|some|the)[-_ ]|insert|todo|fixme|fake|sample|mock|-?here$|to[-_]be|omitted|"
    r"overwrit|overrid|by[-_]env\b|from[-_]env\b|^username@|"
    r"snip|masked|hidden|secretref|not[-_ ]?(?:a|real)|^test[-_]|^none$)",
    re.IGNORECASE,
)
_WORDS = frozenset(
    {
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "user",
        "username",
        "admin",
        "root",
        "key",
        "apikey",
        "api-key",
        "pass",
        "pwd",
        "string",
        "object",
        "boolean",
        "integer",
        "number",
        "null",
        "none",
        "nil",
        "true",
        "false",
        "required",
        "optional",
        "enabled",
        "disabled",
        "default",
        "prompt",
        "generated",
        "random",
        "plain",
        "plaintext",
        "encrypted",
        "basic",
        "bearer",
        "auto",
        "test",
        "testing",
        "foo",
        "bar",
        "baz",
        "foobar",
        "value",
        "values",
        "data",
        "text",
        "never",
        "always",
    }
)


def is_template(value: str) -> bool:
    """True if *value* is made of templates or variables, with only punctuation between them."""
    whole = rest = _PARAMETERS.sub("", value)
    # An expression may hold another one.
    for _ in range(_DEEPEST):
        before, rest = rest, _TEMPLATE.sub("", rest)
        if rest == before:
            break
    rest = _VARIABLE.sub("", rest)
    return rest != whole and not re.search(r"\w", rest)


def is_address(value: str) -> bool:
    """True for an address that begins with a template or has one as its host; its path is words."""
    return _ADDRESS.fullmatch(_TEMPLATE.sub(_PUT_IN, value.strip())) is not None


def is_form(text: str) -> bool:
    """True if *text* is fields of JSON, YAML or a dotenv file with only templates as values."""
    stripped = text.strip()
    if "\n" not in stripped and not stripped.startswith(("{", "[")):
        return False
    return _FIELD.search(stripped) is not None and is_template(_FIELD.sub("", stripped))


def is_numbered(key: str, value: str) -> bool:
    """True for the number of a user, a group or a port under a key that says so."""
    return _NUMBERED.search(key) is not None and re.fullmatch(r"\d{1,5}", value) is not None


def is_stored(value: str) -> bool:
    """True for the address of a value in a store of secrets, which some tool fetches."""
    return _STORE.fullmatch(_TEMPLATE.sub("x", value.strip())) is not None


def is_variable_name(value: str) -> bool:
    """True for the name of a variable or key that holds a secret, such as ``DB_PASSWORD``."""
    return _NAMED.fullmatch(value) is not None and sum(map(str.isdigit, value)) <= 3


def is_sealed(value: str) -> bool:
    """True for what kubeseal writes: a length, an RSA-wrapped key of that length, ciphertext."""
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    length = int.from_bytes(data[:2], "big")
    return length in (256, 384, 512, 1024) and len(data) > 2 + length + 16


def has_marks(text: str) -> bool:
    """True if *text* has marks of a template engine, which then reads it before YAML does."""
    return _MARKS.search(text) is not None


def is_reference_tag(tag: str) -> bool:
    """True for a YAML tag that makes the value a reference to another one, such as ``!secret``."""
    return _TAG.fullmatch(tag) is not None


def is_placeholder(value: str, *, in_shell: bool = False) -> bool:
    """True if *value* obviously stands for a value that somebody has to fill in.

    + in_shell: whether a shell reads the value, and so expands variables anywhere in it
    """
    if in_shell and _SHELL.search(value.strip()):
        return True
    bare = value.strip().strip("\"'`")
    if bare.startswith("$(") or is_variable_name(bare):
        return True
    if len(set(bare)) <= 2 or bare.lower() in _WORDS:
        return True
    if _TEMPLATE.search(bare) or _REFERENCE.fullmatch(bare) or _ANGLE.search(bare):
        return True
    if is_template(bare) or _CAPITALS.search(bare):
        return True
    if any(form.fullmatch(bare) for form in (_TAG, _CALL, _CHAIN, _STORED, _ENTITY)):
        return True
    return bool(_FILLER.search(bare))


def entropy(value: str) -> float:
    """Return the Shannon entropy of *value* in bits per character."""
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
