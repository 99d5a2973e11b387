"""What the tests of the verification share."""

from __future__ import annotations

import pytest

from sopslab.course.chapter import Chapter


@pytest.fixture
def chapter() -> Chapter:
    """Return the chapter of a learner who is in the clone."""
    return Chapter("backend-secrets", "learner")
