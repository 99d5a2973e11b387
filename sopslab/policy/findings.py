"""What the policy says about files: findings, and what it could not decide.

A finding names a place and a rule and what to do; it never carries a value out of the file. Key
names are shown only when they have the form of a Kubernetes data key and are short, because a slip
such as ``{password:value}`` makes a value part of a key, and tokens are used as keys, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

CLEAN, FOUND, UNDECIDED = 0, 1, 2
"""The exit codes of every caller."""

SHOWN_KEY = re.compile(r"[-._a-zA-Z0-9]{1,39}")
HIDDEN_KEY = "…"

_ENCRYPT = "encrypt the file with scripts/sops-encrypt-secret.sh and stage the result"
_ROTATE = "remove it from the commit, and replace the value where it is used: it counts as leaked"

FIXES: dict[str, str] = {
    "secret-plaintext": _ENCRYPT,
    "secret-mask": "put the encrypted file back: the mask that flux build prints is not a value",
    "secret-lookalike": "encrypt the value again with sops; it is not what sops writes",
    "secret-unencrypted-suffix": "rename the key: sops leaves keys with this suffix in plain text",
    "secret-field-encrypted": "encrypt with --encrypted-regex '^(data|stringData)$'",
    "sops-nothing-encrypted": "correct the regex or suffix in .sops.yaml, then encrypt again",
    "sops-no-mac": "encrypt the file again with sops; Flux takes a file without mac as plain",
    "sops-no-recipients": "encrypt the file again with sops, for the recipients in .sops.yaml",
    "sops-wrong-recipient": "run sops updatekeys and sops rotate on the file, or encrypt it again",
    "sops-missing-recipient": "run sops updatekeys on the file, or encrypt it again",
    "sops-mixed-recipients": "use post-quantum recipients only, or none",
    "sops-wrong-regex": "encrypt with --encrypted-regex '^(data|stringData)$'",
    "sops-unopenable": "encrypt the file again with sops; as it is, it cannot be decrypted",
    "sops-foreign-recipient": "encrypt for age keys only: what opens files here asks no service",
    "sops-bad-pattern": "write a regular expression that Go understands (RE2), as sops does",
    "sops-no-rule": "add a creation rule for this path to .sops.yaml",
    "generator-literal": "keep the value in an encrypted Secret, not in a generator literal",
    "generator-plaintext-source": "encrypt the source file with sops",
    "yaml-duplicate-key": "keep one of the two keys",
    "unreadable": "write valid YAML or JSON; what cannot be read cannot be checked",
    "not-encrypted": _ENCRYPT,
    "not-a-regular-file": "commit the file itself, not a link to it",
    "not-looked-into": "keep it outside of flux/: what cannot be read as text cannot be checked",
    "yaml-tag": "write the value without a tag: sops, kustomize and Kubernetes need none",
    "built-plaintext": "encrypt the value in the file that it comes from",
    "secret-copied": "keep the value in an encrypted Secret; what kustomize puts there is plain",
    "too-large": "split the file; Flux decrypts no file over 5 MiB",
    "kustomize-remote": "commit the file or base to this repository and name it by its path",
    "kustomize-plugin": "use the other fields of kustomize, such as patches and replacements",
    "kustomize-too-much": "take out of flux/ what the lab does not need",
    "kustomize-build": "build it with `flux build`, correct or simplify it, then push again",
    "source-ignore": "remove the file; Flux has to see what is checked here",
    "key-age": _ROTATE,
    "key-private": _ROTATE,
    "key-store": _ROTATE,
    "kubeconfig-credential": _ROTATE,
    "registry-credential": _ROTATE,
    "credential-file": _ROTATE,
    "dotenv-values": "encrypt the file with sops, or commit an .env.example without values",
    "terraform-state": "keep the state in a remote backend; it holds every value in plain text",
    "password": _ROTATE,
    "url-password": _ROTATE,
    "url-token": _ROTATE,
    "authorization-header": _ROTATE,
    "password-hash": _ROTATE,
}
"""Every rule id of our own, with what to do about it; ids never change their meaning."""

GITLEAKS_PREFIX = "gitleaks:"


def fix_of(rule: str) -> str:
    """Return what to do about a finding of *rule*, which is one of ours or of gitleaks."""
    return _ROTATE if rule.startswith(GITLEAKS_PREFIX) else FIXES[rule]


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that must not be committed."""

    path: str
    line: int
    rule: str
    message: str
    fix: str
    commit: str = ""


@dataclass
class Report:
    """The answer about a set of files."""

    findings: list[Finding] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    checked: int = 0

    @property
    def exit_code(self) -> int:
        """2 when something could not be decided, else 1 with findings, else 0."""
        if self.undecided:
            return UNDECIDED
        return FOUND if self.findings else CLEAN


@dataclass(frozen=True)
class Hit:
    """A finding that does not say yet in which file and commit it lies."""

    line: int
    rule: str
    message: str

    def at(self, path: str, commit: str) -> Finding:
        """Return the finding in *path*, with the fix of its rule."""
        return Finding(path, self.line, self.rule, self.message, fix_of(self.rule), commit)


class Undecidable(Exception):
    """The content cannot be judged; the text is a sentence without its subject, the file."""


def key_path(*keys: str) -> str:
    """Join *keys* for a message, hiding those that do not look like keys."""
    return ".".join(key if SHOWN_KEY.fullmatch(key) else HIDDEN_KEY for key in keys)
