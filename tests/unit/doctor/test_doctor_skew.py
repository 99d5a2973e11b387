"""Versions of Flux: the command and the controllers, one minor apart at most."""

from __future__ import annotations

import pytest

from sopslab.checks.rules.skew import skew


@pytest.mark.parametrize(
    ("command", "controllers", "said"),
    [
        ("2.9.3", "v2.9.3", ""),
        ("2.9.0", "v2.9.3", ""),
        ("2.8.1", "v2.9.3", ""),
        ("2.10.0", "v2.9.3", ""),
        ("2.7.5", "v2.9.3", "the command is 2 minor versions behind"),
        ("2.9.3", "v2.7.0", "the controllers are 2 minor versions behind"),
        ("2.12.0", "v2.9.3", "the controllers are 3 minor versions behind"),
        ("1.9.3", "v2.9.3", "the command is a major version behind"),
        ("3.0.0", "v2.9.3", "the controllers are a major version behind"),
        ("2.9.3-rc.1", "v2.9.3", ""),
        ("", "v2.9.3", ""),
        ("2.9.3", "latest", ""),
    ],
)
def test_one_minor_version_apart_is_fine_and_two_are_not(
    command: str, controllers: str, said: str
) -> None:
    assert skew(command, controllers) == said
