"""Draw docs/images/growth.svg of the table in docs/instructors.md: `python -m tests.bench.picture`,
by `make docs`."""

from __future__ import annotations

from pathlib import Path

from sopslab.layout import PROJECT
from tests.bench.blocks import GROWTH
from tests.bench.growth_table import read_table
from tests.bench.plot import plot

PAGE = PROJECT / "docs" / "instructors.md"
PICTURE = PROJECT / "docs" / "images" / "growth.svg"


def draw(page: Path, picture: Path) -> None:
    """Draw the picture of what a page has in its table; none of a page without one."""
    if rows := read_table(GROWTH.read(page.read_text())):
        picture.write_text(plot(rows))


def main() -> None:
    """Draw the picture that is part of the docs."""
    draw(PAGE, PICTURE)
    if PICTURE.exists():
        print(f"{PICTURE.relative_to(PROJECT)}: {PICTURE.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
