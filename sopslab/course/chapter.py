"""The names that the chapter uses, for sentences and commands."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from sopslab.layout import (
    ENVIRONMENT,
    FLUX_NAMESPACE,
    KUSTOMIZATION,
    LAB_EMAIL,
    LIST_PATH,
    NAMESPACE,
    SECRETS_DIR,
)

# The Secret that the chapter makes, unless the user asks for another name.
SECRET = "backend-secrets"
MANIFEST_PATH = f"{SECRETS_DIR}/{SECRET}.yaml"
SETUP = "scripts/sops-setup.sh --create-secret"
COMPARE = "scripts/sops-setup.sh --check"
UP = "sopslab up"
ANSWERS_FILE = "quiz-answers.txt"
"""The file in a learner's repository with the answers that are to be counted, one on each line."""


@dataclass(frozen=True)
class Chapter:
    """The chapter as one learner works on it.

    `work` is the clone that commands have to change to first, "" if the learner is already there.
    `namespace` is where decrypted Secrets arrive, `system` where Flux's objects are.
    """

    secret: str
    source: str
    work: str = ""
    namespace: str = NAMESPACE
    system: str = FLUX_NAMESPACE

    @property
    def folder(self) -> str:
        """The folder of the environment's secrets in the repository."""
        return SECRETS_DIR

    @property
    def file(self) -> str:
        """The path of the Secret's manifest."""
        return f"{self.folder}/{self.secret}.yaml"

    @property
    def kustomization(self) -> str:
        """The path of the list of files that Flux applies."""
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
        """The commands that commit the manifest, as the chapter gives them."""
        return self.at_work(
            f"git add {self.file} {self.kustomization} && git commit -m"
            f' "chapter-03: add encrypted backend secret for {ENVIRONMENT}"'
        )

    @property
    def setup(self) -> str:
        """The command that puts the key into the cluster."""
        return self.at_work(SETUP)

    @property
    def compare(self) -> str:
        """The command that compares the public keys of all places."""
        return self.at_work(COMPARE)

    @property
    def reconcile(self) -> str:
        """The command that makes Flux read the repository and apply it at once."""
        return (
            f"flux --namespace {self.system} reconcile kustomization {KUSTOMIZATION} --with-source"
        )

    @property
    def wait(self) -> str:
        """The command that waits for what Flux has not done yet."""
        return "sopslab verify --wait 60"

    @property
    def describe(self) -> str:
        """The command that shows Flux's own messages."""
        return f"kubectl -n {self.system} describe kustomization {KUSTOMIZATION}"

    @property
    def live(self) -> str:
        """The Secret in the cluster, in words."""
        return f"the Secret {self.secret} in the namespace {self.namespace}"

    def restore(self, path: str) -> str:
        """Return the command that restores a file as the lab has written it last: when it replaced
        a key, or else when the lab began."""
        named = shlex.quote(path)
        last = f"git rev-list -n 1 --author={LAB_EMAIL} HEAD -- {named}"
        first = "git rev-list --max-parents=0 HEAD | tail -n 1"
        return self.at_work(f'git checkout "$({{ {last}; {first}; }} | head -n 1)" -- {named}')

    def at_work(self, command: str) -> str:
        """Return a command that has to run in the clone, preceded by a `cd` if the learner is in
        another folder."""
        return f"cd {shlex.quote(self.work)} && {command}" if self.work else command
