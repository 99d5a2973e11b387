"""A root file system of Debian packages, from the mirror that this machine's apt uses."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from contextlib import suppress

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.store.bench import bench
from sopslab.lab.tools.files import read
from sopslab.lab.tools.locks import go_on_alone
from sopslab.lab.tools.programs import Failed, run
from sopslab.model.recipes import RootfsPlan
from sopslab.model.results import Undecided
from sopslab.model.store import Entry

_MAKE_S = 1800
# Not for a machine that anybody works on: no documentation, and no fsync for every file.
_DPKG = (
    "force-unsafe-io",
    *(f"path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale", "info")),
)
_TARGET = "$(SITE) $(CODENAME) $(COMPONENT) $(SOURCESENTRY) $(ORIGIN)"
# Where a line of sources.list, and a stanza, say whose signatures count.
_OF_A_LINE = re.compile(r"\[(?:[^]]*\s)?signed-by=([^]\s]+)")
_OF_A_STANZA = re.compile(r"^Signed-By:(.*(?:\n[ \t].*)*)", re.MULTILINE | re.IGNORECASE)
_KEY = re.compile(r"/[^]\s]*|[0-9A-Fa-f]{40}!?")


def begin(lab: Lab, plans: list[RootfsPlan], entries: list[Entry]) -> None:
    """Begin to fill entries of the store, one after the other, and leave that to a process that
    goes on alone. What fails there, fails again in the run that awaits it, and is told there.

    Raises LabError at once if this machine knows no mirror of Debian.
    """
    sources = functools.cache(_sources)
    for plan in plans:
        sources(plan.codename)

    def work() -> None:
        # No signal that is meant for the run reaches it.
        os.setsid()
        for plan, entry in zip(plans, entries, strict=True):
            with suppress(LabError, Failed, Undecided):
                _make(lab, plan, entry, sources)

    go_on_alone(work)


def make(lab: Lab, plan: RootfsPlan, entry: Entry) -> None:
    """Fill an entry of the store with a root file system."""
    _make(lab, plan, entry, _sources)


def _make(lab: Lab, plan: RootfsPlan, entry: Entry, sources_of: Callable[[str], list[str]]) -> None:
    with bench(lab, entry.key) as place:
        if place.is_published(entry):
            return
        sources = sources_of(plan.codename)
        made = place.folder / "entry"
        made.mkdir()
        root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
        with (made / "rootfs.tar").open("wb") as archive:
            place.run(
                *root, "mmdebstrap", "--quiet", "--mode=root", f"--variant={plan.variant}",
                f"--include={','.join(plan.packages)}",
                '--aptopt=APT::Install-Recommends "false"',
                *(f"--dpkgopt={option}" for option in _DPKG),
                "--format=tar", plan.codename, "-", "-",
                stdin="".join(f"{line}\n" for line in sources).encode(), to=archive,
                patience=_MAKE_S,
                otherwise=f"{entry.key} could not be made from Debian packages: see above",
            )  # fmt: skip
        place.publish(made, entry)


def _sources(codename: str) -> list[str]:
    """Return the lines of sources.list of a release, its updates included. On another release of
    Debian, they are those of that one's mirrors. Raises LabError if there are none.

    Vendors call their suites by Debian's codenames, so the origin decides. Only where that leaves
    the release out are sources of other origins taken: a mirror may call itself what it wants.
    """
    command = ["apt-get", "indextargets", "--format", _TARGET, "Identifier: Packages"]
    targets = [line.split() for line in os.fsdecode(run(command, os.environ)).splitlines()]
    if not targets:
        raise LabError(
            "apt on this machine has no package lists, which tell it the mirrors of Debian: run"
            " `apt-get update`, or set `artifact_source: upstream`"
        )
    own: set[tuple[str, str]] = set()
    others, renamed = own.copy(), own.copy()
    # apt takes one answer for each suite, and suites of other releases become the same here.
    keys: dict[str, str] = {}
    for site, release, component, place, *origin in filter(lambda words: len(words) > 3, targets):
        name, dash, part = release.partition("-")
        suite = f"{site} {codename}{dash}{part}"
        line = f"deb {keys.setdefault(suite, _keys(place))}{suite} {component}"
        if origin == ["Debian"]:
            (own if name == codename else others).add((part, line))
        elif name == codename:
            renamed.add((part, line))
    for found in (own, others, own | renamed):
        if any(not part for part, _ in found):
            return sorted(line for _, line in found)
    raise LabError(
        "apt on this machine knows no mirror of Debian, of whose packages the root file systems are"
        " made: run `apt-get update` if its sources name one, set `artifact_source: upstream`, or"
        " bring a store that is full"
    )


def _keys(place: str) -> str:
    """Return the option of a line of sources.list that says whose signatures count for a source,
    empty if the source does not say it by path or by fingerprint.

    + place: of the source, as apt names it: `FILE:LINE`, or `FILE:STANZA` where FILE has stanzas
    """
    name, _, number = place.rpartition(":")
    text = os.fsdecode(read(name) or b"")
    pattern, parts = _OF_A_LINE, text.split("\n")
    if name.endswith(".sources"):
        bare = re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE).strip()
        pattern, parts = _OF_A_STANZA, re.split(r"\n\s*\n", bare)
    numbered = {str(index): part for index, part in enumerate(parts, 1)}
    found = pattern.search(numbered.get(number, ""))
    keys = re.split(r"[\s,]+", found[1].strip()) if found else []
    if not keys or not all(map(_KEY.fullmatch, keys)):
        return ""
    return f"[signed-by={','.join(keys)}] "
