"""Start gitleaks, apart from the modules that judge: these are imported while gitleaks starts."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass

LEAKS = 42
"""gitleaks exits with 1 on errors too, so leaks get a code of their own."""
# sopslab.policy.keys judges keys instead: it wants a body, and knows post-quantum keys, too.
_CONFIG = r"""
[extend]
useDefault = true
disabledRules = ["private-key", "age-secret-key"]

[[allowlists]]
description = "public keys, and commits and sums under names such as GEN_API_REF_DOCS_VERSION"
targetRules = ["generic-api-key"]
regexTarget = "line"
regexes = [
    '''(?i)\bpublic[-_ ]?key''',
    '''(?i)(?:version|commit|rev|revision|sha\d*|sum|digest|hash)\W{1,6}v?[0-9a-f]{40,64}\b''',
]

[[allowlists]]
description = "a login without a password"
targetRules = ["curl-auth-user"]
regexTarget = "line"
regexes = ['''(?:-u|--user)[ =]*["']?[\w.-]+:["']?(?:\s|$)''']

[[allowlists]]
description = "tokens of documentation"
regexes = ['''(?:1234567890|0123456789).*(?:1234567890|0123456789)''', '''(?i)x{6}''']
"""


class ScannerError(Exception):
    """gitleaks is missing or failed; the text is a sentence."""


@dataclass(frozen=True)
class Begun:
    """A gitleaks process that waits for input, or why there is none; a context that ends it."""

    started: subprocess.Popen[bytes] | None
    problem: str = ""

    def process(self) -> subprocess.Popen[bytes]:
        """Return its process. Raises ScannerError if there is none."""
        if self.started is None:
            raise ScannerError(self.problem)
        return self.started

    def __enter__(self) -> Begun:
        return self

    def __exit__(self, *_: object) -> None:
        if self.started is not None and self.started.poll() is None:
            self.started.kill()
            self.started.wait()


def begin(program: str = "") -> Begun:
    """Start *program*, by default the gitleaks of SOPSLAB_GITLEAKS or else of the PATH."""
    program = program or os.environ.get("SOPSLAB_GITLEAKS") or shutil.which("gitleaks") or ""
    if not program:
        return Begun(None, "gitleaks is not installed, so general secrets cannot be looked for")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GITLEAKS_")}
    environment["GITLEAKS_CONFIG_TOML"] = _CONFIG
    command = [
        *(program, "stdin", "--no-banner", "--log-level=error", "--redact=100"),
        *("--ignore-gitleaks-allow", f"--gitleaks-ignore-path={os.devnull}"),
        *(f"--exit-code={LEAKS}", "--report-format=json", "--report-path=-"),
    ]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # gitleaks looks for an ignore file in its working directory.
            cwd="/",
            env=environment,
        )
    except OSError as error:
        return Begun(None, f"gitleaks cannot be started: {error.strerror}")
    return Begun(process)
