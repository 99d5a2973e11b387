"""Turn the findings of the policy in a history into exposures. Pure.

Values become hashes at once, so that the program can look for them elsewhere without keeping them.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sopslab.incidents.records import Exposure
from sopslab.policy import documents
from sopslab.policy.engine import decode
from sopslab.policy.findings import SHOWN_KEY, Finding, Undecidable
from sopslab.policy.printing import printable

Read = Callable[[str, str], bytes | None]
"""Returns a file in a commit, None if it is not there; is called with the commit and the path."""

# `KEY=value` and the like in files that are not YAML: dotenv, properties, constants in scripts. A
# line has no space at its end: an expression for that would take quadratic time.
_ASSIGNED = re.compile(r"""\s*(?:export\s+)?([-._a-zA-Z0-9]+)\s*[:=]\s*(["']?)(.+?)\2[;,]?""")


@dataclass(frozen=True)
class Named:
    """A value with a name. `digests` are the hashes of the value as written and, because values in
    Secrets are in base64, as decoded."""

    line: int
    key: str
    digests: frozenset[str]


def named_values(data: bytes) -> list[Named]:
    """Return the values in a file that have a name, as hashes."""
    text = decode(data)
    try:
        parsed = documents.parse(text)
    except Undecidable:
        parsed = documents.Parsed((), error_line=1)
    structured = any(isinstance(one, documents.Mapping) for one in parsed.documents)
    found = _leaves(parsed) if structured else _lines(text)
    # A slip such as {password:value} makes the value a part of the key. Such keys are left out, as
    # in the output of the policy.
    return [value for value in found if SHOWN_KEY.fullmatch(value.key)]


def _leaves(parsed: documents.Parsed) -> Iterator[Named]:
    for document in parsed.documents:
        for path, leaf in documents.leaves(document):
            if path and documents.text_of(leaf):
                named = [part for part in path if not part.isdigit()] or path
                yield Named(documents.line_of(leaf), named[-1], digests(documents.text_of(leaf)))


def _lines(text: str) -> Iterator[Named]:
    # The policy counts lines in this way. For `splitlines`, a form feed ends a line, too.
    for number, line in enumerate(text.split("\n"), 1):
        if assigned := _ASSIGNED.fullmatch(line.rstrip()):
            yield Named(number, assigned[1], digests(assigned[3]))


def digests(text: str) -> frozenset[str]:
    """Return the SHA-256 of a value and, if it is base64, of the decoded value."""
    values = [text.encode("utf-8", "surrogatepass")]
    with contextlib.suppress(binascii.Error, ValueError):
        values.append(base64.b64decode(re.sub(r"[\r\n]", "", text), validate=True))
    return frozenset(hashlib.sha256(value).hexdigest() for value in values if value)


def exposures(repository: str, findings: Sequence[Finding], read: Read) -> tuple[Exposure, ...]:
    """Return each place that the findings name once, with the names of the values that leaked
    there.

    + repository: the repository's path on the Git server
    """
    lines: dict[tuple[str, str, str], set[int]] = {}
    for finding in findings:
        lines.setdefault((finding.commit, finding.path, finding.rule), set()).add(finding.line)
    return tuple(
        sorted(
            Exposure(
                repository,
                commit,
                printable(path),
                _keys(read(commit, path), at),
                rule,
            )
            for (commit, path, rule), at in lines.items()
            # A record names a commit. Some findings have none, such as one in the tag of a blob.
            if commit
        )
    )


def _keys(data: bytes | None, lines: set[int]) -> tuple[str, ...]:
    named = [] if data is None else named_values(data)
    return tuple(dict.fromkeys(value.key for value in named if value.line in lines))
