"""Parts of pages that are made from the bench's report, each between two lines that a reader of the
page does not see."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """A part of a page, by its name."""

    name: str

    @property
    def begin(self) -> str:
        """The line before the part."""
        return f"<!-- {self.name}: made by `python -m tests.bench.docs` from build/bench.json -->"

    @property
    def end(self) -> str:
        """The line after the part."""
        return f"<!-- {self.name}: end -->"

    def read(self, text: str) -> str:
        """Return what a page has between the two lines.

        Raises ValueError unless each of them is there exactly once, in their order.
        """
        once = text.count(self.begin) == text.count(self.end) == 1
        if not once or text.index(self.end) < text.index(self.begin):
            raise ValueError(f"one line `{self.begin}` and after it one `{self.end}` are needed")
        return text.partition(self.begin)[2].partition(self.end)[0].strip()

    def rewritten(self, text: str, content: str) -> str:
        """Return a page with other content between the two lines.

        Raises ValueError as `read` does.
        """
        self.read(text)
        before, _, rest = text.partition(self.begin)
        after = rest.partition(self.end)[2]
        return f"{before}{self.begin}\n\n{content.strip()}\n\n{self.end}{after}"


FIGURES, GROWTH = Block("figures"), Block("growth")
