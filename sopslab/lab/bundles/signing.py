"""Signatures of OpenSSH over what a bundle has in it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sopslab.errors import LabError
from sopslab.lab.beginning import NAMESPACE
from sopslab.lab.tools import programs
from sopslab.lab.tools.programs import Failed


def sign(text: bytes, key: Path) -> bytes:
    """Return a signature over a text. Raises LabError where the key does not make one.

    + key: a private key of OpenSSH's; or a public one, whose private key an agent has
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "manifest.json")
        file.write_bytes(text)
        try:
            programs.run(
                ["ssh-keygen", "-Y", "sign", "-q", "-f", str(key), "-n", NAMESPACE, str(file)],
                os.environ, patience=300,
            )  # fmt: skip
        except Failed:
            raise LabError(
                f"{key} does not sign: name a private key of OpenSSH's that this user can read, or"
                " the public key of one that an agent has"
            ) from None
        return file.with_suffix(".json.sig").read_bytes()
