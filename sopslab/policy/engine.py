"""The policy itself: what is looked for in one file, and the run over a set of files."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from sopslab.policy import (
    ciphertext,
    documents,
    keys,
    manifests,
    obligations,
    passwords,
    placeholders,
    published,
    regex,
    sops,
    templates,
)
from sopslab.policy.documents import Mapping, Node, Sequence
from sopslab.policy.files import Path, is_for_flux
from sopslab.policy.findings import GITLEAKS_PREFIX, Finding, Hit, Report, Undecidable, key_path
from sopslab.policy.gitleaks import Begun, ScannerError
from sopslab.policy.recipients import CONFIG, Rules, Trusted
from sopslab.policy.scanner import Gitleaks, Leak
from sopslab.policy.secrets import Place, is_secret
from sopslab.policy.sources import (
    MAX_BLOB,
    SUBMODULE,
    SYMLINK,
    TEXT,
    Blob,
    Source,
    SourceError,
)

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ENCODED_MARKS = tuple(mark for mark, _ in _BOMS)
_CONTROLS = re.compile(r"[\0-\x08\x0e-\x1a\x1c-\x1f]")
_TRIGGERS = ("ecret", "auths", "users", "client-key-data", '"sops"', "sops:")
_MANIFEST_START = re.compile(
    r"(?:[ \t]*(?:(?:#|---|%YAML).*)?\r?\n)*[ \t]*"
    r"(?:[\"']?(?:apiVersion|kind|metadata|data|stringData|type|items|sops|users|auths)[\"']?\s*:"
    r"|\{|\[)"
)
_KUSTOMIZATION = re.compile(r"kustomization(?:\.ya?ml)?")


_MAYBE_SECRET = (
    re.compile(r"apiVersion|\\[xuU]"),
    re.compile(r"\bkind\b|\\[xuU]"),
    re.compile(r"secret|stringdata|\\[xuU]", re.IGNORECASE),
)


def decode(data: bytes) -> str:
    """Return the text of *data*, empty if it is binary."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    head = data[:4096]
    zeros = head.count(b"\0")
    if zeros:
        # UTF-16 without a mark: every other byte of ASCII text is zero.
        for encoding, half in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
            if zeros * 2 >= len(head) - 1 and half.count(b"\0") == zeros:
                return data.decode(encoding, "replace")
        return ""
    return data.decode("utf-8-sig", "replace")


def _is_text(data: bytes, text: str) -> bool:
    """True if decoding *data* to *text* lost nothing and, in UTF-8, gave no control characters."""
    if data.startswith(_ENCODED_MARKS) or b"\0" in data[:4096]:
        return bool(text) and "\ufffd" not in text
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not _CONTROLS.search(text)


def _hollow(line: int) -> Hit:
    return Hit(line, "sops-nothing-encrypted", "has a sops block, but not one value is encrypted")


def _hollow_parts(parsed: documents.Parsed) -> Iterator[Hit]:
    """Yield a finding for each run of sops that encrypted nothing.

    All documents that one run encrypted have the same mac. Secrets and Lists of them get no such
    finding, since each of their values is judged by itself.
    """
    runs: dict[str, list[str]] = {}
    lines: dict[str, int] = {}
    for document in parsed.documents:
        found = sops.metadata(document)
        if found is not None and (found.mac or found.recipients):
            runs.setdefault(found.mac, []).extend(sops.values(document))
            kind = documents.text_of(documents.get(document, "kind"))
            if not is_secret(documents.fields(document)) and kind not in ("List", "SecretList"):
                lines.setdefault(found.mac, found.line)
    for mac, line in lines.items():
        if sops.is_hollow(runs[mac]):
            yield _hollow(line)


# A line that says where in a store or a Secret a value is: words, with no number that could be
# random.
_KEY_LINE = re.compile(
    r"[\s-]*[\"']?(?:\w*Key|key|property)[\"']?\s*:\s*([\"']?)"
    r"(?:[a-z]+(?:[_-][a-z]+)*(?:/[a-z]+(?:[_-][a-z]+)*)+|[A-Z]+\d{0,5}(?:_[A-Z]+){1,9}"
    r"|[a-z]+\d{0,4}(?:_[a-z]+){1,9})\1\s*(?:#.*)?"
)


def _names_a_key(line: str) -> bool:
    return _KEY_LINE.fullmatch(line) is not None


@dataclass(frozen=True)
class _Fed:
    """What is kept of a file until gitleaks has answered."""

    path: str
    commit: str
    is_docs: bool
    known: set[int]
    text: str

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the text, as gitleaks counts them."""
        return self.text.split("\n")

    def accepts(self, leak: Leak) -> bool:
        """True if *leak* counts as a finding.

        A leak by name and entropy does not count in prose, on a line that is judged already, or on
        one that names a key. A published example never counts.
        """
        line = self.line(leak)
        unsure = leak.is_generic and (self.is_docs or leak.line in self.known or _names_a_key(line))
        return not unsure and not published.holds(line)

    def line(self, leak: Leak) -> str:
        """The text of the line that *leak* is in."""
        return self.lines[leak.line - 1] if leak.line <= len(self.lines) else ""


class File:
    """One file under judgement."""

    def __init__(self, blob: Blob, rules: Rules, source: Source) -> None:
        self.blob = blob
        self._rules = rules
        self.kind = Path(blob.path)
        self.text = decode(blob.data)
        self.place = Place(
            blob.path,
            self.kind.in_secrets_tree,
            lambda: rules.expected(blob.path, self.kind.in_secrets_tree),
            lambda path: source.read(blob.commit, path),
            for_flux=self.kind.in_secrets_tree or is_for_flux(blob.path, source.is_top),
        )
        self._is_lock = self.kind.is_lock and not self.place.for_flux

    def hits(self) -> Iterator[Hit]:
        """Yield everything but what gitleaks finds. Raises Undecidable."""
        if self.blob.mode == TEXT:
            yield from keys.scan(self.blob.data)
            return
        if self.blob.mode in (SYMLINK, SUBMODULE):
            if self.place.for_flux:
                yield Hit(1, "not-a-regular-file", "a link below flux/")
            yield from keys.scan(self.blob.data)
            return
        if len(self.blob.data) > MAX_BLOB:
            raise Undecidable("is larger than 64 MiB")
        yield from keys.scan(self.blob.data, self.kind.is_docs)
        if self.place.for_flux and len(self.blob.data) > documents.MAX_TEXT:
            yield Hit(1, "too-large", "larger than 5 MiB")
            return
        if self.place.for_flux and not _is_text(self.blob.data, self.text):
            yield Hit(1, "not-looked-into", "not text, although Flux may read it")
        yield from self.kind.forbidden(self.blob.data, self.text)
        if self._is_flat():
            yield from self._flat()
        elif self._is_structured():
            yield from self._structured()
        else:
            yield from self._free_text()
        if self.place.for_flux:
            yield from self._for_flux()
        if not self.kind.is_docs and not self.kind.is_source and not self._is_lock:
            yield from passwords.in_text(self.text)

    def _is_flat(self) -> bool:
        if self.kind.is_docs or self.kind.is_source or self.kind.is_structured:
            return False
        return self.kind.is_dotenv or "sops_mac" in self.text or "[sops]" in self.text

    def _is_structured(self) -> bool:
        if self.kind.is_structured:
            return not self._is_lock
        if self.kind.is_source or len(self.text) > documents.MAX_TEXT:
            return False
        return any(word in self.text for word in _TRIGGERS) and bool(
            _MANIFEST_START.match(self.text)
        )

    def _flat(self) -> Iterator[Hit]:
        """Yield the findings of dotenv and INI files."""
        found = sops.flat_metadata(self.text)
        if found is not None:
            yield from found.problems()
            yield from self.place.expected().problems(found)
            if sops.is_hollow(sops.flat_values(self.text)):
                yield _hollow(found.line)
            # In the secrets tree, a file's own options do not decide what may be in plain text.
            options = None if self.kind.in_secrets_tree else found
            for line, key, _ in sops.flat_plaintext(self.text, options):
                message = f"{key_path(key)} is in plain text in an encrypted file"
                yield Hit(line, "secret-plaintext", message)
            yield from passwords.in_lines(self.text)
        elif self.kind.is_real_dotenv and not self.kind.is_example:
            for line, key, value in sops.flat_plaintext(self.text):
                if not (placeholders.is_numbered(key, value) or placeholders.is_placeholder(value)):
                    yield Hit(line, "dotenv-values", f"{key_path(key)} has a value")
        else:
            yield from passwords.in_lines(self.text, in_shell=self.kind.is_dotenv)
            yield from self._must_be_encrypted()
            yield from self._promised()
        # A line that looks like metadata must not hide a manifest.
        yield from templates.plaintext_secrets(self.text, for_flux=self.place.for_flux)

    def _promised(self, parsed: documents.Parsed | None = None) -> Iterator[Hit]:
        """Yield plain text where the file's name or its creation rule promises ciphertext."""
        if self.kind.is_example or not self.text.strip() or self.kind.in_secrets_tree:
            return
        promised = self.kind.is_promised
        expected = None
        if promised or obligations.may_be_ruled(self.blob.path):
            expected = self.place.expected()
        pattern = expected.pattern if expected is not None else None
        ruled = pattern is not None and (promised or obligations.by_rule(self.blob.path, pattern))
        if not promised and not ruled:
            return
        message = "in plain text, where a file is encrypted by its name or by the creation rules"
        if parsed is None:
            if not sops.is_encrypted_file(self.text) and not placeholders.has_marks(self.text):
                yield Hit(1, "not-encrypted", message)
            return
        if parsed.error_line and not placeholders.has_marks(self.text):
            yield Hit(parsed.error_line, "unreadable", "not valid YAML or JSON")
        for document in parsed.documents:
            is_object = obligations.is_named(document)
            if sops.metadata(document) is not None or (is_object and not promised):
                continue
            selects = expected.selects if expected is not None and ruled else None
            if promised and not is_object:
                selects = None
            line = obligations.plain_line(document, selects)
            if line and not is_secret(documents.fields(document)):
                yield Hit(line, "not-encrypted", message)

    def harmless(self) -> set[int]:
        """Return the lines that assign an expression, which may look random to gitleaks."""
        if not self.kind.is_expressions:
            return set()
        return set(passwords.expression_lines(self.text, is_nix=self.kind.is_nix))

    def _free_text(self) -> Iterator[Hit]:
        if self.kind.is_source and not self.kind.is_test_code:
            yield from passwords.in_source(self.text)
        if self.kind.is_docs and self.kind.is_promised:
            yield from self._promised()
        yield from self._must_be_encrypted()
        if self.kind.is_docs or self.kind.is_source or self._is_lock:
            return
        if self.kind.is_expressions:
            yield from passwords.in_expressions(self.text, is_nix=self.kind.is_nix)
        else:
            text = passwords.without_sums(self.text) if self.kind.is_sums else self.text
            yield from passwords.in_lines(text, in_shell=self._in_shell)
        yield from templates.plaintext_secrets(
            self.text, in_shell=self._in_shell, for_flux=self.place.for_flux
        )
        yield from self._promised()

    @property
    def _in_shell(self) -> bool:
        return self.kind.is_shell or self.text.startswith("#!")

    def _must_be_encrypted(self) -> Iterator[Hit]:
        if not self.kind.in_secrets_tree or self.kind.may_be_plain or not self.blob.data.strip():
            return
        # A file that is named like source code may be encrypted as a whole.
        if not self.kind.is_source or not sops.is_encrypted_file(self.text):
            yield Hit(1, "not-encrypted", "a file in plain text where secrets are kept")

    def _structured(self) -> Iterator[Hit]:
        """Yield the findings of YAML and JSON files."""
        if len(self.text) > documents.MAX_TEXT:
            yield from templates.plaintext_secrets(self.text)
            return
        yield from templates.commented_secrets(self.text)
        parsed = documents.parse(self.text)
        if parsed.error_line:
            found = list(templates.plaintext_secrets(self.text, for_flux=self.place.for_flux))
            unsure = self.place.for_flux or not found
            if self.kind.in_secrets_tree or (unsure and self._may_hide_a_secret()):
                yield Hit(parsed.error_line, "unreadable", "not valid YAML or JSON")
            yield from found
            if not self.kind.is_docs:
                yield from passwords.in_lines(self.text)
        for document in parsed.documents:
            # Prose that happens to be YAML is one scalar.
            if isinstance(document, Mapping | Sequence):
                yield from manifests.check(document, self.place)
            yield from self._belongs(document)
            if self.kind.name == CONFIG:
                yield from self._rules.problems(document)
        yield from _hollow_parts(parsed)
        yield from self._promised(parsed)
        if not parsed.error_line and "#" in self.text:
            yield from passwords.in_comments(self.text)

    def _may_hide_a_secret(self) -> bool:
        """True for text that a more lenient reader might take for a Secret; not for a template."""
        if self.kind.is_docs or self._is_lock:
            return False
        # Flux does not fill in template marks, and its YAML reader may be more lenient than ours.
        if not self.place.for_flux and placeholders.has_marks(self.text):
            return False
        return all(word.search(self.text) for word in _MAYBE_SECRET)

    def _for_flux(self) -> Iterator[Hit]:
        """Yield findings for kustomize, which reads any file that is listed, whatever its name."""
        parsed = documents.parse(self.text)
        for document in parsed.documents:
            for node in documents.tagged(document):
                yield Hit(documents.line_of(node), "yaml-tag", "a value with a tag of YAML")
            if isinstance(document, Mapping | Sequence) and not self._is_structured():
                yield from manifests.check(document, self.place)
        if parsed.error_line and not self.kind.is_prose:
            yield from templates.plaintext_secrets(self.text, for_flux=self.place.for_flux)

    def _belongs(self, document: Node) -> Iterator[Hit]:
        """Yield documents in the secrets tree that are neither encrypted nor Kubernetes objects."""
        if not self.kind.in_secrets_tree or self.kind.may_be_plain or documents.is_null(document):
            return
        if not obligations.is_named(document) and not _KUSTOMIZATION.fullmatch(self.kind.name):
            block = sops.metadata(document)
            if block is None and not is_secret(documents.fields(document)):
                line = documents.line_of(document)
                yield Hit(line, "not-encrypted", "a document in plain text where secrets are kept")

    @property
    def for_gitleaks(self) -> str:
        """The text for gitleaks; empty for links, and for lock files, which are full of hashes."""
        if self._is_lock or self.blob.mode == SYMLINK:
            return ""
        return passwords.without_sums(self.text) if self.kind.is_sums else self.text


def check(source: Source, trusted: Trusted, begun: Begun) -> Report:
    """Judge every file of *source*, also with the gitleaks process that has *begun*.

    A file that cannot be judged is always reported, in ``Report.undecided``.
    """
    report = Report()
    scanner: Gitleaks | None = None
    fed: list[_Fed] = []
    rules: dict[str, Rules] = {}
    budgets: dict[str, regex.Budget] = {}
    found: set[Finding] = set()
    try:
        scanner = Gitleaks(begun)
    except ScannerError as error:
        report.undecided.append(str(error))
    try:
        for blob in source.blobs():
            report.checked += blob.mode != TEXT
            if blob.commit not in rules:
                rules[blob.commit] = _rules(source, blob.commit, trusted)
            file = File(blob, rules[blob.commit], source)
            hits: list[Hit] = []
            try:
                with regex.within(budgets.setdefault(source.share(blob.commit), regex.Budget())):
                    hits.extend(file.hits())
            except SourceError:
                raise
            except Undecidable as error:
                report.undecided.append(f"{blob.path} {error}")
            except RecursionError:
                report.undecided.append(f"{blob.path} is nested too deeply")
            except Exception as error:
                # The text of an unforeseen error could hold a value, so only its kind is shown.
                report.undecided.append(f"{blob.path} cannot be judged: {type(error).__name__}")
            found.update(hit.at(blob.path, blob.commit) for hit in _distinct(hits))
            if scanner is not None and file.for_gitleaks:
                scanner.feed(ciphertext.without(file.for_gitleaks, file.place.sealed))
                known = {hit.line for hit in hits} | file.place.names | file.harmless()
                prose = file.kind.is_docs or blob.mode == TEXT
                fed.append(_Fed(blob.path, blob.commit, prose, known, file.for_gitleaks))
        for leak in scanner.finish() if scanner is not None else ():
            fed_file = fed[leak.text]
            if fed_file.accepts(leak):
                hit = Hit(leak.line, GITLEAKS_PREFIX + leak.rule, "looks like a secret to gitleaks")
                found.add(hit.at(fed_file.path, fed_file.commit))
    except (SourceError, ScannerError) as error:
        report.undecided.append(str(error))
    report.findings = sorted(found)
    return report


def _distinct(hits: list[Hit]) -> Iterator[Hit]:
    """Yield *hits* without passwords on lines that another rule already names."""
    named = {hit.line for hit in hits if hit.rule != "password"}
    for hit in hits:
        if hit.rule != "password" or hit.line not in named:
            yield hit


def _rules(source: Source, commit: str, trusted: Trusted) -> Rules:
    return Rules(lambda path: source.read(commit, path), source.is_top, trusted)
