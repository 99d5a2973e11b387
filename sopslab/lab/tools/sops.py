"""sops and age. Plain text exists in this process and in pipes only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from sopslab.config.places import Places
from sopslab.errors import LabError
from sopslab.lab.tools.files import new_folder
from sopslab.lab.tools.programs import Answer, ask, clean_environment, run
from sopslab.policy.recipients import CONFIG, is_age_only
from sopslab.policy.sops import foreign_kinds

# Exit codes of sops (getsops/sops, cmd/sops/codes/codes.go).
NO_KEY, NO_VALUE, MAC_MISMATCH = 128, 25, 51
NOT_STARTED = 256
"""Instead of an exit code, which is smaller: sops was not started."""


def encrypt(places: Places, rules: bytes, path: str, plain: bytes) -> bytes:
    """Return a manifest encrypted by creation rules; no setting of the user counts.

    Raises Failed, and LabError where the rules name other kinds of recipients than age's.

    + rules: a `.sops.yaml`
    + path: the path for which the rules are looked up
    """
    if not is_age_only(_text(rules)):
        raise LabError(f"{CONFIG} cannot be read, or names recipients of other kinds than age")
    with new_folder(f"{places.lab_dir}/rules") as folder:
        Path(folder, CONFIG).write_bytes(rules)
        return run(
            [
                "sops", "encrypt", "--filename-override", path,
                "--input-type", "yaml", "--output-type", "yaml", "/dev/stdin",
            ],
            clean_environment(places), folder=folder, stdin=plain, patience=30,
        )  # fmt: skip


def decrypt(places: Places, identity: str | Path, encrypted: bytes, *options: str) -> Answer:
    """Return what sops answers when it opens a manifest with the identity in a file, `NOT_STARTED`
    for a manifest about which sops might ask others than age: what a learner writes must not make
    this machine connect anywhere. Raises Undecided if sops does not answer.
    """
    if foreign_kinds(_text(encrypted)):
        return Answer(NOT_STARTED)
    return ask(
        [
            "sops", "decrypt", "--input-type", "yaml", "--output-type", "yaml", *options,
            "/dev/stdin",
        ],
        {**clean_environment(places), "SOPS_AGE_KEY_FILE": str(identity)},
        stdin=encrypted, patience=30,
    )  # fmt: skip


def _text(data: bytes) -> str:
    return data.decode("utf-8-sig", "replace")


class Workshop:
    """A folder for the copy of an encrypted file, on which sops works with an identity.

    The creation rule there is the lab's own: a learner's rule may have sops ask services elsewhere.
    """

    def __init__(self, places: Places, folder: Path) -> None:
        """
        + folder: an empty one
        """
        self._folder = folder / "files"
        self._config = folder / "config"
        self._environment = clean_environment(places)

    def place(self, path: str, encrypted: bytes, recipients: Sequence[str]) -> Path:
        """Put a copy of an encrypted file into the folder, as the only one, and set the recipients
        that it is to be encrypted to. Return the path of the copy."""
        shutil.rmtree(self._folder, ignore_errors=True)
        copy = self._folder / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(encrypted)
        rule = {"creation_rules": [{"age": ",".join(recipients)}]}
        self._config.write_text(json.dumps(rule), encoding="utf-8")
        return copy

    def work(self, identity: str | Path, command: str, *arguments: str, stdin: bytes = b"") -> None:
        """Run a command of sops on the copy, which the arguments name by its path. Raises Failed.

        + identity: the file of an identity that opens the copy as it is
        """
        environment = {**self._environment, "SOPS_AGE_KEY_FILE": str(identity)}
        asked = ["sops", "--config", str(self._config), command, *arguments]
        run(asked, environment, folder=self._folder, stdin=stdin, patience=30)

    def opens(self, identity: str | Path, path: str) -> bool:
        """Whether an identity opens the copy. Raises Undecided if sops does not answer."""
        environment = {**self._environment, "SOPS_AGE_KEY_FILE": str(identity)}
        asked = ["sops", "--config", str(self._config), "decrypt", path]
        return ask(asked, environment, folder=self._folder, patience=30).code == 0


def new_identity(places: Places, *options: str) -> bytes:
    """Return a new age identity, as its file holds it. Raises Failed."""
    return run(["age-keygen", *options], clean_environment(places), patience=20)


def recipients(places: Places, identities: bytes) -> Sequence[str]:
    """Return the recipient of each identity, in their order. Raises Failed."""
    said = run(["age-keygen", "-y"], clean_environment(places), stdin=identities, patience=20)
    return said.decode("ascii", "replace").split()
