"""A learner at work on a real lab, with values nobody may see."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.lab import Lab
from tests.texts import replaced

SECRET = "backend-secrets"
FILE = f"flux/secrets/develop/{SECRET}.yaml"
KUSTOMIZATION = "flux/secrets/develop/kustomization.yaml"


@dataclass
class Learner:
    """A learner at work in a clone of the repository, with values nobody may see."""

    lab: Lab
    work: Path
    values: dict[str, str] = field(default_factory=dict)

    def run(self, *argv: str, stdin: str | None = None, check: bool = True) -> str:
        """Run a command in the clone and return what it prints."""
        return self.lab.run(*argv, cwd=self.work, stdin=stdin, check=check).stdout

    def encrypt(self, *options: str) -> None:
        """Make the manifest, with new random values."""
        self.values = {"API_TOKEN": secrets.token_hex(16), "PASSWORD": secrets.token_urlsafe(24)}
        given = "".join(f"{key}={value}\n" for key, value in self.values.items())
        self.run("scripts/sops-encrypt-secret.sh", "develop", SECRET, *options, stdin=given)

    def wire(self) -> None:
        """Uncomment the line of the manifest in the kustomization."""
        path = self.work / KUSTOMIZATION
        text = path.read_text()
        assert f"# - {SECRET}.yaml" in text
        path.write_text(replaced(text, f"# - {SECRET}.yaml", f"- {SECRET}.yaml"))

    def commit(self, *options: str) -> None:
        """Commit what lies below flux/secrets."""
        self.run("git", "add", "flux/secrets")
        self.run("git", "commit", "--quiet", "-m", "chapter-03", *options)

    def push(self) -> None:
        """Push the commits of the clone."""
        self.run("git", "push", "--quiet")

    def finish(self) -> None:
        """Do the chapter's whole exercise, and wait until Flux has applied it."""
        self.encrypt()
        self.wire()
        self.commit()
        self.push()
        assert self.verify("--wait", "60").code == 0

    def verify(self, *options: str) -> Answer:
        """Run `sopslab verify --json`, and assert that no value is in what it prints."""
        done = self.lab.run("sopslab", "verify", "--json", *options, cwd=self.work, check=False)
        self.see_nothing(done.stdout + done.stderr)
        assert not done.stderr
        return Answer(done.returncode, json.loads(done.stdout))

    def see_nothing(self, text: str) -> None:
        """Assert that a text holds no key, and no value in any encoding."""
        for value in self.values.values():
            for dress in (value, base64.b64encode(value.encode()).decode(), value.encode().hex()):
                assert dress not in text
        assert "AGE-SECRET-KEY" not in text


@dataclass
class Answer:
    """What `sopslab verify --json` said."""

    code: int
    told: dict[str, Any]

    @property
    def by_id(self) -> dict[str, dict[str, Any]]:
        """The checks by id."""
        return {check["id"]: check for check in self.told["checks"]}

    @property
    def first(self) -> dict[str, Any]:
        """The first check that is not ok."""
        return next(check for check in self.told["checks"] if check["status"] != "ok")

    def status(self, name: str) -> str:
        """The status of a check."""
        return str(self.by_id[name]["status"])
