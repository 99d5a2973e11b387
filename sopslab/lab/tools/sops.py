"""sops and age. What is encrypted or opened exists in this process and in pipes only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sopslab.config.places import Places
from sopslab.errors import LabError
from sopslab.lab.tools.files import new_folder
from sopslab.lab.tools.programs import Answer, ask, clean_environment, run
from sopslab.policy.recipients import CONFIG

# Keys of YAML, however they are quoted, by which sops asks others than age about a file.
_ELSEWHERE = re.compile(
    rb"^[\s-]*[?]|\\[xuU]"
    rb"|(^|[^a-z_])(pgp|(gcp_|hc)?kms|azure_(kv|keyvault)|hc_vault[a-z_]*)[\"']?\s*:",
    re.MULTILINE,
)
# Exit codes of sops (getsops/sops, cmd/sops/codes/codes.go).
NO_KEY, NO_VALUE, MAC_MISMATCH = 128, 25, 51


def asks_elsewhere(text: bytes) -> bool:
    """Whether sops might ask others than age about a file, or about creation rules.

    What a learner writes must not make this machine connect anywhere.
    """
    return _ELSEWHERE.search(text) is not None


def encrypt(places: Places, rules: bytes, path: str, plain: bytes) -> bytes:
    """Return what a manifest becomes by creation rules; no setting of a user counts.

    Raises LabError where the rules would have sops ask others than age, and Failed.

    + rules: a `.sops.yaml`
    + path: the file that the rules are asked about
    """
    if asks_elsewhere(rules):
        raise LabError(f"{CONFIG} names recipients of another kind than age: take them out")
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
    """Return what sops says when it is to open a manifest with the identity in a file.

    Raises Undecided if it does not answer. What it would have to ask others about is not opened, as
    if no key fitted.
    """
    if asks_elsewhere(encrypted):
        return Answer(NO_KEY)
    return ask(
        [
            "sops", "decrypt", "--input-type", "yaml", "--output-type", "yaml", *options,
            "/dev/stdin",
        ],
        {**clean_environment(places), "SOPS_AGE_KEY_FILE": str(identity)},
        stdin=encrypted, patience=30,
    )  # fmt: skip


def new_identity(places: Places, *options: str) -> bytes:
    """Return a new age identity, as its file holds it. Raises Failed."""
    return run(["age-keygen", *options], clean_environment(places), patience=20)


def recipients(places: Places, identities: bytes) -> Sequence[str]:
    """Return the recipients of identities, one each, in their order. Raises Failed."""
    said = run(["age-keygen", "-y"], clean_environment(places), stdin=identities, patience=20)
    return said.decode("ascii", "replace").split()
