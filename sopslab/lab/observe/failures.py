"""Which environments failed in the present run."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Lab


def seat_failures(lab: Lab) -> dict[str, str]:
    """Return the environments that failed in the present run, each with a sentence that says why,
    by the learner's id."""
    folder = Path(lab.class_dir, "failed")
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    # A file that is being written has another name until it is complete.
    told = {
        file.name: file.read_text(encoding="utf-8", errors="replace")
        for file in files
        if not file.name.startswith(".")
    }
    return {who: text.replace("\n", " ").strip() for who, text in told.items() if text}
