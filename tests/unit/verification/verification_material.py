"""What the recorded objects and the tests agree on."""

from __future__ import annotations

HEAD = "13901ba4ec12dcccb6c795a2db1be5081e4622c3"
"""The commit that the recorded Kustomization has applied."""
