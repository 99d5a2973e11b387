"""What the tests of the verification share."""

from __future__ import annotations

import pytest

from sopslab.course.chapter import Chapter


@pytest.fixture
def chapter() -> Chapter:
    """Return a learner's chapter, as it is seen from the clone."""
    return Chapter("backend-secrets", "learner")
