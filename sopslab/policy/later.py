"""Regular expressions that are compiled on first use: a commit hook starts often, and few of them
are needed for most files."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, AnyStr, Generic, cast


class Later(Generic[AnyStr]):
    """An expression with the methods of a compiled one. The first use of a wrong one raises
    re.error."""

    def __init__(self, pattern: AnyStr, flags: int) -> None:
        self._pattern: AnyStr = pattern
        self._flags = flags

    @cached_property
    def _compiled(self) -> re.Pattern[AnyStr]:
        return re.compile(self._pattern, self._flags)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._compiled, name)
        # Kept, so that Python asks here only once for each method.
        setattr(self, name, found)
        return found


def later(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what `re.compile` returns, as far as its methods go, without compiling it yet."""
    return cast("re.Pattern[AnyStr]", Later(pattern, flags))
