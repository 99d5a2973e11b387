"""For whom a file must be encrypted: the repository's .sops.yaml and what the caller trusts.

Creation rules are applied as sops applies them (config/config.go): those of the nearest .sops.yaml
upward, in order. ``path_regex`` is searched in the path relative to it; the first match wins.
"""

from __future__ import annotations

import os
import posixpath
import typing
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sopslab.policy import documents, regex, sops
from sopslab.policy.documents import Mapping, Node, Sequence
from sopslab.policy.findings import Hit, Undecidable
from sopslab.policy.sops import short

CONFIG = ".sops.yaml"
_RULE_KEYS = {
    "age": "",
    "pgp": "",
    "kms": "{arn}",
    "gcp_kms": "{resource_id}",
    "azure_keyvault": "{vaultUrl}/keys/{key}/{version}",
    "hc_vault_transit_uri": "",
    "hc_vault": "",
    "hckms": "{key_id}",
}
_FOREIGN = _RULE_KEYS.keys() - {"age"}
Environment = typing.Mapping[str, str]
Read = Callable[[str], "bytes | None"]
"""Returns the file at a path of the same tree, None if there is none."""


@dataclass(frozen=True)
class Trusted:
    """Recipients that the caller demands, whatever the repository says; empty sets demand none."""

    required: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()

    @property
    def age_only(self) -> bool:
        """True if the caller requires only age keys, and at least one: no other kind is taken."""
        return bool(self.required) and all(name.startswith("age1") for name in self.required)

    @classmethod
    def from_environment(cls, environment: Environment = os.environ) -> Trusted:
        """Read SOPSLAB_REQUIRED_RECIPIENTS and SOPSLAB_ALLOWED_RECIPIENTS, comma separated."""

        def names(variable: str) -> frozenset[str]:
            listed = environment.get(variable, "").split(",")
            return frozenset(sops.normal_recipient(name) for name in listed if name.strip())

        return cls(names("SOPSLAB_REQUIRED_RECIPIENTS"), names("SOPSLAB_ALLOWED_RECIPIENTS"))


@dataclass(frozen=True)
class Expected:
    """Which recipients one file must be encrypted for; a field is None if nothing is known."""

    required: frozenset[str]
    allowed: frozenset[str] | None
    no_rule: bool = False
    age_only: bool = False
    pattern: str | None = None
    """The path_regex of the creation rule that covers the file, None without one."""
    options: dict[str, str] | None = None
    """The options by which that rule selects values: `encrypted_regex` and the like."""

    def selects(self, path: tuple[str, ...]) -> bool:
        """Return whether the creation rule would have a value at *path* encrypted."""
        return self.options is not None and sops.selects(self.options, path)

    def problems(self, found: sops.Metadata) -> Iterator[Hit]:
        """Yield where the recipients in *found* differ, and show them, since they are public."""
        if self.no_rule:
            yield Hit(found.line, "sops-no-rule", f"no creation rule of {CONFIG} matches this path")
        for kind in sorted(found.foreign if self.age_only else ()):
            text = f"has a recipient of the kind {short(kind)}, and only age keys are taken"
            yield Hit(found.line, "sops-foreign-recipient", text)
        if self.age_only:
            yield from found.made_up()
        if not found.recipients:
            return
        if self.allowed is not None:
            for name in sorted(found.recipients - self.allowed):
                text = f"encrypted for {short(name)}, which is not an allowed recipient"
                yield Hit(found.line, "sops-wrong-recipient", text)
        for name in sorted(self.required - found.openers):
            text = f"not encrypted for {short(name)}, which must be able to read it"
            if name in found.recipients:
                text = f"{short(name)} cannot open it alone, but must be able to"
            yield Hit(found.line, "sops-missing-recipient", text)


class Rules:
    """The creation rules of one tree, read once per .sops.yaml."""

    def __init__(self, read: Read, is_top: Callable[[str], bool], trusted: Trusted) -> None:
        self._read, self._is_top, self._trusted = read, is_top, trusted
        self._configs: dict[str, Node | None] = {}

    def expected(self, path: str, in_secrets_tree: bool) -> Expected:
        """Return which recipients the file at *path* must be encrypted for.

        Outside of the secrets tree, only the .sops.yaml at the top of the repository counts: others
        belong to examples and test data, whose files need not follow them. Raises Undecidable if
        the .sops.yaml that counts cannot be understood.
        """
        folder = posixpath.dirname(path)
        while True:
            config = self._config(posixpath.join(folder, CONFIG))
            if config is not None or folder in ("", "/"):
                break
            folder = posixpath.dirname(folder)
        by_rule = pattern = options = None
        if config is not None and not in_secrets_tree and not self._is_top(folder):
            config = None
        if config is not None and not _creation_rules(config):
            # sops ignores a .sops.yaml without creation rules.
            config = None
        if config is not None:
            rule = creation_rule(config, posixpath.relpath(path, folder or "."))
            if rule is not None:
                by_rule = frozenset(_named(rule))
                pattern = documents.text_of(documents.get(rule, "path_regex"))
                options = _options(rule)
        # A rule without recipients leaves them to the environment and the command line.
        allowed = self._trusted.allowed or by_rule or None
        required = self._trusted.required
        if by_rule:
            required |= by_rule & self._trusted.allowed if self._trusted.allowed else by_rule
        no_rule = config is not None and by_rule is None
        return Expected(required, allowed, no_rule, self._trusted.age_only, pattern, options)

    def problems(self, config: Node) -> Iterator[Hit]:
        """Yield what is wrong with a .sops.yaml itself, whatever path it is applied to."""
        for rule in _creation_rules(config):
            for name, node, value in documents.entries(rule):
                if name.endswith("_regex"):
                    line = documents.line_of(node)
                    yield from sops.pattern_problem(line, name, documents.text_of(value))
        for name, node in _foreign(config) if self._trusted.age_only else ():
            text = f"names recipients of the kind {short(name)}: only age keys are taken"
            yield Hit(documents.line_of(node), "sops-foreign-recipient", text)

    def _config(self, path: str) -> Node | None:
        if path not in self._configs:
            data = self._read(path)
            node = None
            if data is not None:
                parsed = documents.parse(data.decode("utf-8-sig", "replace"))
                if parsed.error_line or len(parsed.documents) > 1:
                    raise Undecidable(f"cannot be judged: {CONFIG} is not one valid YAML document")
                node = parsed.documents[0] if parsed.documents else None
            self._configs[path] = node
        return self._configs[path]


def is_age_only(text: str) -> bool:
    """Return whether a .sops.yaml can be read, and has sops encrypt with nothing but age: about
    other kinds of recipients, sops asks other programs or services."""
    try:
        parsed = documents.parse(text)
    except Undecidable:
        return False
    foreign = [kind for one in parsed.documents for kind in _foreign(one)]
    return not (parsed.error_line or foreign)


def _foreign(config: Node) -> Iterator[tuple[str, Node]]:
    """Yield the kinds of recipients in a .sops.yaml that are not age's own, each with the node that
    names it."""
    for part in documents.walk(config):
        for name, node, value in documents.entries(part):
            if name.casefold() in _FOREIGN and not _is_empty(value):
                yield name, node


def creation_rule(config: Node | None, relative: str) -> Node | None:
    """Return the first creation rule for a path relative to the .sops.yaml, None without one.

    Raises Undecidable if a rule before it cannot be understood.
    """
    for rule in _creation_rules(config):
        pattern = documents.text_of(documents.get(rule, "path_regex"))
        try:
            if regex.search(pattern, relative):
                return rule
        except regex.PatternError as error:
            text = f"cannot be judged: a path_regex of {CONFIG} {error}"
            raise Undecidable(text) from None
    return None


def _creation_rules(config: Node | None) -> list[Node]:
    return documents.items(documents.get(config, "creation_rules"))


def _options(rule: Node) -> dict[str, str]:
    found = {
        key: documents.text_of(value)
        for key, _, value in documents.entries(rule)
        if key != "path_regex" and key.endswith(("_regex", "_suffix"))
    }
    return found or {"unencrypted_suffix": "_unencrypted"}


def _is_empty(node: Node) -> bool:
    return not (node.value if isinstance(node, Mapping | Sequence) else documents.text_of(node))


def _named(rule: Node) -> Iterator[str]:
    """Yield the recipients of a creation rule: strings or lists, directly or in key groups."""
    for kind, part in _RULE_KEYS.items():
        member = documents.get(rule, kind)
        for item in member.value if isinstance(member, Sequence) else [member]:
            if part and isinstance(item, Mapping):
                parts = {key: documents.text_of(value) for key, _, value in documents.entries(item)}
                name = part.format_map(defaultdict(str, parts))
            else:
                name = documents.text_of(item)
            for single in name.split(","):
                if single.strip():
                    yield sops.normal_recipient(single.partition("+")[0])
    for nested in ("key_groups", "merge"):
        for group in documents.items(documents.get(rule, nested)):
            yield from _named(group)
