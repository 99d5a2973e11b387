"""Draw docs/images/growth.svg from the table in docs/instructors.md: `python -m
tests.bench.picture`, which `make docs` runs."""

from __future__ import annotations

from pathlib import Path

from sopslab.layout import PROJECT
from tests.bench.blocks import GROWTH
from tests.bench.growth_table import read_table
from tests.bench.plot import plot

PAGE = PROJECT / "docs" / "instructors.md"
PICTURE = PROJECT / "docs" / "images" / "growth.svg"


def draw(page: Path, picture: Path) -> None:
    """Draw the picture of a page's table, or none if the page has no table."""
    if rows := read_table(GROWTH.read(page.read_text())):
        picture.write_text(plot(rows))


def main() -> None:
    """Draw the picture that is part of the docs."""
    draw(PAGE, PICTURE)
    if PICTURE.exists():
        print(f"{PICTURE.relative_to(PROJECT)}: {PICTURE.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
