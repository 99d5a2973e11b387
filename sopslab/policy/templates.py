"""Find Secrets in text that is not valid YAML: Helm templates, heredocs, broken files.

Text is read leniently, by its indentation. A value is plain text if it contains no template.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sopslab.policy import placeholders, sops
from sopslab.policy.findings import Hit, key_path
from sopslab.policy.later import later
from sopslab.policy.lines import Lines

_KIND = later(
    r"""["']?kind["']?\s*:\s*(?:[&!]\S+\s+)*["']?Secret(?:List)?["']?\s*(?:[,}#\s]|$)""",
    re.IGNORECASE,
)
_COMMENT = later(r"[ \t]*#+ ?")
_COMMENTED_KIND = later(r"^[ \t]*#.*\bkind\W{1,5}Secret\b", re.MULTILINE)
_SEPARATOR = later(r"^[ \t]*(?:---(?=\s|$)|(?:EOF|EOT)\b)", re.MULTILINE)
_SECTION = later(
    r"""^(\s*(?:-\s+)*)["']?(data|stringData)["']?\s*:\s*(?:[&!]\S+\s*)*([|>][-+\d]*)?\s*(?:\#.*)?$""",
    re.IGNORECASE,
)
_FLOW = later(r"""["']?\b(data|stringData)["']?\s*:\s*\{([^{}]*)""", re.IGNORECASE)
_PAIR = later(r"""["']?([\w./-]{1,253})["']?\s*:\s*("(?:[^"\\]|\\.)*"?|'[^']*'?|[^,}\n]*)""")
_ENTRY = later(r"""^\s*["']?([\w./-]{1,253})["']?\s*:(?:\s+(.*))?$""")
_SCALAR_HEADER = later(r"[|>][-+\d]*\s*(?:#.*)?")
_EXAMPLE = later(
    r"(?:your|example|sample|placeholder|dummy)(?:[-_ ](?:[a-z]{1,12}[-_ ]){0,3}[a-z]{1,12})?",
    re.IGNORECASE,
)
_STATEMENT = later(placeholders.STATEMENT)
_ACTION = later(
    rf"\{{\{{[^{{}}]{{0,500}}\}}\}}|\$\{{[^{{}}]{{0,300}}\}}|\$\([A-Za-z_]\w*\)|<[^<>]{{1,80}}>"
    rf"|{placeholders.MARKED}|{placeholders.VARIABLE}"
)


def plaintext_secrets(
    text: str, *, in_shell: bool = False, for_flux: bool = False
) -> Iterator[Hit]:
    """Yield every value in plain text under data or stringData of something of kind Secret.

    + in_shell: whether *text* is a script; examples in its usage text are applied nowhere
    + for_flux: whether Flux may read *text*; it fetches nothing from a store of secrets
    """
    start, line = 0, 0
    for separator in [*_SEPARATOR.finditer(text), None]:
        end = separator.start() if separator else len(text)
        part = text[start:end]
        if _KIND.search(part):
            shown = part.split("\n")
            for hit in _part(part):
                # Lines of a block end at other characters, too, and so there may be more of them.
                at = shown[hit.line - 1] if hit.line <= len(shown) else ""
                value = at.partition(":")[2].strip().strip("\"'")
                if in_shell and _EXAMPLE.fullmatch(value):
                    continue
                if not for_flux and placeholders.is_stored(value):
                    continue
                yield Hit(hit.line + line, hit.rule, hit.message)
        line += part.count("\n")
        start = end


def commented_secrets(text: str) -> Iterator[Hit]:
    """Yield the values of a Secret that is commented out: it is in the file all the same."""
    if not _COMMENTED_KIND.search(text):
        return
    lines = [
        _COMMENT.sub("", line, count=1) if _COMMENT.match(line) else ""
        for line in text.splitlines()
    ]
    for hit in plaintext_secrets("\n".join(lines)):
        yield Hit(hit.line, hit.rule, f"{hit.message}, in a comment")


def _part(text: str) -> Iterator[Hit]:
    numbers = Lines(text)
    for flow in _FLOW.finditer(text):
        for pair in _PAIR.finditer(text, flow.start(2), flow.end(2)):
            if _is_plain(pair[2]):
                yield _hit(numbers.at(pair.start()), flow[1], pair[1])
    lines = text.expandtabs(8).splitlines()
    for index, current in enumerate(lines):
        section = _SECTION.match(current)
        if section:
            yield from _block(lines, index, len(section[1]), section[2])


def _block(lines: list[str], index: int, indent: int, section: str) -> Iterator[Hit]:
    """Yield the plain entries of a section that is written as an indented block."""
    key, value_indent = "", indent
    for number in range(index + 1, len(lines)):
        current = lines[number]
        bare = current.strip()
        if (
            not bare
            or bare.startswith("#")
            or not _ACTION.sub("", _STATEMENT.sub("", bare)).strip()
        ):
            continue
        depth = len(current) - len(current.lstrip())
        if depth <= indent:
            return
        if key and depth > value_indent:
            if _is_plain(bare):
                yield _hit(number + 1, section, key)
                key = ""
            continue
        entry = _ENTRY.match(current)
        key = ""
        if entry:
            value = entry[2] or ""
            if not value or _SCALAR_HEADER.fullmatch(value):
                key, value_indent = entry[1], depth
            elif _is_plain(value):
                yield _hit(number + 1, section, entry[1])


def _is_plain(value: str) -> bool:
    bare = re.sub(r"\s+#.*$", "", _STATEMENT.sub("", value).strip()).strip("\"',")
    if not bare or bare in ("null", "~", "{}", "[]", "|", ">") or sops.is_encrypted(bare):
        return False
    return not _ACTION.search(bare)


def _hit(line: int, section: str, key: str) -> Hit:
    return Hit(line, "secret-plaintext", f"{key_path(section, key)} is in plain text")
