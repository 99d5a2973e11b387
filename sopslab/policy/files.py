"""What a file's path tells: its kind, whether it may be committed, and what it must then contain.

Names come from the file formats of the tools: OpenSSH, Git, curl, npm, PyPI, Docker, Terraform.
Where a file of that name may also be harmless, its content decides.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator

from sopslab.policy import credentials, keys, obligations, placeholders, sops
from sopslab.policy.findings import Hit
from sopslab.policy.later import later
from sopslab.policy.lines import Lines

_BACKUP = later(
    r"(?:\.(?:tmp|temp|bak|backup|old|orig|save|swp|tpl|tmpl|j2|gotmpl|new|copy|disabled|dist|"
    r"example|sample|template|rej|\d+)|~)+$"
)
_STRUCTURED = later(r"\.(?:ya?ml|json|json5|jsonc|kubeconfig|dockerconfigjson|dockercfg)$")
_DOCS = later(r"\.(?:md|mdx|markdown|rst|adoc|asciidoc|txt|html?|tex|po)$")
_SOURCE = later(
    r"\.(?:go|py|pyi|js|mjs|cjs|ts|jsx|tsx|java|kt|scala|rb|rs|c|h|cc|cpp|hpp|cs|php|swift|m|lua|"
    r"pl|pm|ex|exs|erl|hs|ml|clj|r|jl|dart|vue|svelte|css|scss|proto|sql|ipynb|rego|cue)$"
)
_TEST_CODE = later(
    r"(?:^|/)(?:tests?|testdata|testing|spec|fixtures|mocks?|e2e|__tests__)/|_test\.\w+$|"
    r"(?:^|/)test_[^/]*$|\.(?:spec|test)\.\w+$"
)
_LOCKS = later(
    r"(?:^|/)(?:go\.(?:sum|mod|work\.sum)|package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|"
    r"pnpm-lock\.yaml|poetry\.lock|pipfile\.lock|uv\.lock|cargo\.lock|composer\.lock|gemfile\.lock|"
    r"flake\.lock|chart\.lock|requirements[\w.-]*\.txt)$"
)
_SUMS = later(
    r"\.lock(?:file|b)?$|[.-]lock\.(?:json|hcl|ya?ml|toml)$|(?:^|/)(?:package\.resolved|"
    r"verification-metadata\.xml|[\w.-]*checksums?(?:\.\w+)?|[\w.-]*sha\d+sums?(?:\.\w+)?|"
    r"\.pre-commit-config\.yaml|\.terraform\.lock\.hcl|vendir\.lock\.yml|deno\.json|"
    r"[\w.-]+\.(?:sum|sums|sha\d+))$"
)
_EXPRESSIONS = later(
    r"\.(?:tf|tfvars|hcl|tofu|nomad|jsonnet|libsonnet|bicep|bicepparam|cel|nix|dhall|star|bzl|k|pkl|"
    r"gradle|groovy|kts)$|(?:^|/)(?:jenkinsfile|tiltfile|build\.bazel)$"
)
_SHELL = later(
    r"\.(?:sh|bash|zsh|ksh|fish|mk|command)$|(?:^|/)(?:makefile|dockerfile|containerfile|justfile|"
    r"\.(?:bash|zsh|profile)[\w.]*|\.envrc)$|(?:^|/)dockerfile[^/]*$"
)
_FLUX = "flux"
_PROSE = later(r"\.(?:md|mdx|markdown|rst|adoc|asciidoc)$")
_SECRETS_TREE = later(r"(?:^|/)flux/secrets(?:/|$)")
_FREE_IN_TREE = later(
    r"(?:^|/)(?:\.git(?:keep|ignore|attributes)|\.keep|\.sops\.yaml|\.sourceignore|\.editorconfig|"
    r"license|[^/]+\.(?:md|rst|adoc|pub|pub\.asc|pub\.gpg|crt|cert))$"
)
_SSH_KEY = later(r"(?:^|/)id_(?:rsa|dsa|ecdsa|ed25519|xmss)(?:_sk)?(?:[-_.][^/]*)?$")
_KEY_STORE = later(
    r"\.(?:pfx|p12|pkcs12|jks|jceks|bks|keystore|kdbx?|ppk|p8|pkcs8|agepkey)$|(?:^|/)key[34]\.db$"
)
_AGE_KEY = later(r"\.agekey$|(?:^|/)(?:age[-_.]?)?keys?\.age$")
_OPENPGP = later(r"\.(?:gpg|pgp|key|kbx)$")
_STATE = later(r"\.tfstate(?:\.[^/]*)?$")
_EXAMPLE = later(r"[.-](?:example|sample|template|dist|tmpl|tpl|defaults?)(?:\.|$)")
_DOTENV = later(r"(?:^|/)(?:\.env(?:rc)?(?:\.[^/]*)?|[^/]+\.env(?:\.local)?)$")
_REAL_DOTENV = later(r"(?:^|/)\.env(?:\.[^/]*)?$")

_CREDENTIALS: tuple[tuple[re.Pattern[str], re.Pattern[str], str], ...] = (
    (
        later(r"(?:^|/)[._]netrc$"),
        later(r"\b(?:password|passwd|account)\s+(\S+)"),
        "a password for a machine",
    ),
    (
        later(r"(?:^|/)\.git-credentials$"),
        later(r"://[^\s:/@]*:([^\s@]+)@"),
        "a Git password",
    ),
    (
        later(r"(?:^|/)\.?(?:npmrc|yarnrc(?:\.yml)?)$"),
        later(r"(?:_authToken|_auth|_password|npmAuthToken|npmAuthIdent)\b[\s\"]*[=:]\s*(\S+)"),
        "an npm token",
    ),
    (
        later(r"(?:^|/)\.pypirc$"),
        later(r"^[ \t]*password[ \t]*[=:][ \t]*(\S+)", re.MULTILINE),
        "a password for a package index",
    ),
    (
        later(r"(?:^|/)\.?(?:pgpass|vault-token)$"),
        later(r"(?::|=|\b|^)[ \t]*([^\s:=]{6,})[ \t]*$", re.MULTILINE),
        "a stored credential",
    ),
)
_NETRC_LINE = later(
    r"^[ \t]*machine[ \t]+\S+[ \t]+login[ \t]+\S+[ \t]+password[ \t]+(\S+)", re.MULTILINE
)


def is_for_flux(path: str, is_top: Callable[[str], bool]) -> bool:
    """Return whether *path* is ``flux`` at the top of a repository, or below it."""
    parts = path.split("/")
    return any(
        part == _FLUX and is_top("/".join(parts[:index])) for index, part in enumerate(parts)
    )


class Path:
    """What is known about a file from its path alone."""

    def __init__(self, path: str) -> None:
        lowered = path.lower()
        self.name = posixpath.basename(lowered)
        bare = _BACKUP.sub("", lowered)
        self.is_structured = bool(_STRUCTURED.search(bare))
        self.is_docs = bool(_DOCS.search(lowered)) and not self.is_structured
        self.is_prose = bool(_PROSE.search(lowered))
        self.is_source = bool(_SOURCE.search(bare))
        self.is_test_code = self.is_source and bool(_TEST_CODE.search(lowered))
        self.is_lock = bool(_LOCKS.search(lowered))
        self.is_dotenv = bool(_DOTENV.search(lowered))
        self.is_real_dotenv = bool(_REAL_DOTENV.search(lowered))
        self.is_example = bool(_EXAMPLE.search(self.name))
        self.is_sums = bool(_SUMS.search(lowered))
        self.is_expressions = bool(_EXPRESSIONS.search(bare))
        self.is_nix = bare.endswith(".nix")
        self.is_shell = bool(_SHELL.search(bare))
        self.is_promised = obligations.by_name(bare)
        self.in_secrets_tree = bool(_SECRETS_TREE.search(path))
        self.may_be_plain = bool(_FREE_IN_TREE.search(lowered))
        self._lowered, self._bare = lowered, bare

    def forbidden(self, data: bytes, text: str) -> Iterator[Hit]:
        """Yield the credentials that the file's name tells, and those in lines of netrc's format.

        *text* is empty for binary content. A file that sops encrypted as a whole may have any name,
        and so may an empty file or a template.
        """
        hits = list(self._by_name(data, text))
        if not self.is_docs and not self.is_source:
            hits.extend(_values(_NETRC_LINE, text, "a password for a machine"))
        if hits and not placeholders.is_template(text) and not sops.is_encrypted_file(text):
            yield from hits

    def _by_name(self, data: bytes, text: str) -> Iterator[Hit]:
        if not data.strip():
            return
        if _AGE_KEY.search(self._bare):
            yield Hit(1, "key-age", "an age key file")
        elif _SSH_KEY.search(self._bare) and not self._bare.endswith(".pub"):
            if not text.startswith(("ssh-", "ecdsa-", "sk-")):
                yield Hit(1, "key-private", "an SSH private key file")
        elif _KEY_STORE.search(self._bare):
            yield Hit(1, "key-store", "a key store")
        elif _STATE.search(self._lowered):
            yield Hit(1, "terraform-state", "a Terraform state file")
        elif _OPENPGP.search(self._bare) and keys.is_secret_keyring(data):
            yield Hit(1, "key-private", "an OpenPGP secret key")
        found = set[int]()
        for names, content, what in _CREDENTIALS:
            if names.search(self._bare):
                for hit in _values(content, text, what):
                    found.add(hit.line)
                    yield hit
        if not self.is_test_code:
            for hit in credentials.scan(self._bare, text, is_example=self.is_example):
                if hit.line not in found:
                    yield hit


def _values(pattern: re.Pattern[str], text: str, what: str) -> Iterator[Hit]:
    lines = Lines(text)
    seen: set[int] = set()
    for match in pattern.finditer(text):
        line = lines.at(match.start(1))
        if not placeholders.is_placeholder(match[1]) and line not in seen:
            seen.add(line)
            yield Hit(line, "credential-file", what)
