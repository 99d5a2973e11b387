"""How the Secrets with which Flux reads and decrypts differ from the host's files."""

from __future__ import annotations

from enum import StrEnum


class SecretDrift(StrEnum):
    """How a Secret of an environment differs from the host's files, from mild to worst."""

    ABSENT = "absent"
    DIFFERS = "differs"
    # The host's decryption key is not among the cluster's.
    KEY = "key"
    # The host itself lacks something that the Secret is made of.
    LACKING = "lacking"
