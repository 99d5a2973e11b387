"""What the chapter calls things, for sentences and commands."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from sopslab.layout import (
    ENVIRONMENT,
    FLUX_NAMESPACE,
    KUSTOMIZATION,
    LIST_PATH,
    NAMESPACE,
    SECRETS_DIR,
)

# The Secret that the chapter makes, unless another one is asked for.
SECRET = "backend-secrets"
MANIFEST_PATH = f"{SECRETS_DIR}/{SECRET}.yaml"
SETUP = "scripts/sops-setup.sh --create-secret"
COMPARE = "scripts/sops-setup.sh --check"
UP = "sopslab up"
ANSWERS_FILE = "quiz-answers.txt"
"""In a learner's repository: answers that the learner wants to be counted, a line each."""


@dataclass(frozen=True)
class Chapter:
    """The chapter as one learner works on it.

    `work` is the clone to go to for a command that starts there, empty when one is there.
    `namespace` is where decrypted Secrets arrive, `system` where Flux's objects lie.
    """

    secret: str
    source: str
    work: str = ""
    namespace: str = NAMESPACE
    system: str = FLUX_NAMESPACE

    @property
    def folder(self) -> str:
        """Where the secrets of the environment lie in the repository."""
        return SECRETS_DIR

    @property
    def file(self) -> str:
        """The manifest of the secret."""
        return f"{self.folder}/{self.secret}.yaml"

    @property
    def kustomization(self) -> str:
        """The list of what Flux applies."""
        return LIST_PATH

    @property
    def encrypt(self) -> str:
        """The command that makes the manifest."""
        return self.at_work(f"scripts/sops-encrypt-secret.sh {ENVIRONMENT} {self.secret}")

    @property
    def encrypt_again(self) -> str:
        """The command that replaces the manifest."""
        return f"{self.encrypt} --force"

    @property
    def commit(self) -> str:
        """The commands that commit it, as the chapter has them."""
        return self.at_work(
            f"git add {self.file} {self.kustomization} && git commit -m"
            f' "chapter-03: add encrypted backend secret for {ENVIRONMENT}"'
        )

    @property
    def setup(self) -> str:
        """The command that gives the cluster its key."""
        return self.at_work(SETUP)

    @property
    def compare(self) -> str:
        """The command that compares the public keys everywhere."""
        return self.at_work(COMPARE)

    @property
    def reconcile(self) -> str:
        """The command that has Flux read and apply at once."""
        return (
            f"flux --namespace {self.system} reconcile kustomization {KUSTOMIZATION} --with-source"
        )

    @property
    def wait(self) -> str:
        """The command that gives Flux time for what it has not done yet."""
        return "sopslab verify --wait 60"

    @property
    def describe(self) -> str:
        """The command that shows what Flux itself says."""
        return f"kubectl -n {self.system} describe kustomization {KUSTOMIZATION}"

    @property
    def live(self) -> str:
        """The secret in the cluster, in words."""
        return f"the Secret {self.secret} in the namespace {self.namespace}"

    def restore(self, path: str) -> str:
        """Return the command that brings a file back as it was when the lab began."""
        first = "$(git rev-list --max-parents=0 HEAD | tail -n 1)"
        return self.at_work(f'git checkout "{first}" -- {shlex.quote(path)}')

    def at_work(self, command: str) -> str:
        """Return a command that starts in the clone, for where the learner is now."""
        return f"cd {shlex.quote(self.work)} && {command}" if self.work else command
