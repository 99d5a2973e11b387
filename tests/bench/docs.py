"""Put the figures of the bench into README.md and docs/: `python -m tests.bench.docs`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sopslab.layout import PROJECT
from tests.bench import picture, report
from tests.bench.blocks import FIGURES, GROWTH, Block
from tests.bench.figures import table
from tests.bench.growth_table import growth_table

README = PROJECT / "README.md"


def put(found: Mapping[str, Any]) -> None:
    """Put the bench's findings into the pages.

    Raises ValueError if a page has no place for it.
    """
    _rewrite(README, FIGURES, table(found))
    if growth := found.get("growth"):
        _rewrite(picture.PAGE, GROWTH, growth_table(growth))
        picture.draw(picture.PAGE, picture.PICTURE)


def _rewrite(page: Path, block: Block, content: str) -> None:
    try:
        page.write_text(block.rewritten(page.read_text(), content))
    except ValueError as error:
        raise ValueError(f"{page}: {error}") from None


def main() -> int:
    """Put the report into the pages and return 0, or 1 if that fails."""
    try:
        put(report.together(report.load(report.REPORT)))
    except FileNotFoundError as error:
        print(f"{error.filename} is not there: `make bench` makes it", file=sys.stderr)
        return 1
    except KeyError as error:
        older = f"{report.REPORT} has no {error}: it is an older one, `make bench` again"
        print(older, file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
