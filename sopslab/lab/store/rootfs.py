"""A root file system of Debian packages, from the mirror that this machine's apt uses."""

from __future__ import annotations

import os
from contextlib import suppress

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.store.bench import bench
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


def begin(lab: Lab, plans: list[RootfsPlan], entries: list[Entry]) -> None:
    """Begin to fill entries of the store, one after the other, and leave that to a process that
    goes on alone. What fails there, fails again in the run that awaits it, and is told there.

    Raises LabError at once if this machine knows no mirror of Debian.
    """
    for plan in plans:
        _sources(plan.codename)

    def work() -> None:
        # No signal that is meant for the run reaches it.
        os.setsid()
        for plan, entry in zip(plans, entries, strict=True):
            with suppress(LabError, Failed, Undecided):
                make(lab, plan, entry)

    go_on_alone(work)


def make(lab: Lab, plan: RootfsPlan, entry: Entry) -> None:
    """Fill an entry of the store with a root file system."""
    with bench(lab, entry.key) as place:
        if place.is_published(entry):
            return
        sources = _sources(plan.codename)
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
    Debian, they are those of that one's mirrors. Raises LabError if there are none."""
    form = "$(SITE) $(CODENAME) $(COMPONENT) $(ORIGIN)"
    said = run(["apt-get", "indextargets", "--format", form, "Identifier: Packages"], os.environ)
    targets = [line.split() for line in os.fsdecode(said).splitlines()]
    own, others = set(), set()
    for site, release, component, *origin in filter(lambda words: len(words) >= 3, targets):
        name, dash, part = release.partition("-")
        line = f"deb {site} {codename}{dash}{part} {component}"
        if name == codename:
            own.add(line)
        elif origin == ["Debian"]:
            others.add(line)
    if not own and not others:
        raise LabError(
            "apt on this machine knows no mirror of Debian, of whose packages the root file systems"
            " are made: set `artifact_source: upstream`, or bring a store that is full"
        )
    return sorted(own or others)
