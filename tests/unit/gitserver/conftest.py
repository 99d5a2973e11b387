"""What the tests of the Git server share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.gitserver.gitserver_material import USERS, write_accounts


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The data of a server with two users."""
    write_accounts(tmp_path, *USERS)
    return tmp_path
