"""A root file system of Debian packages, from the mirror that this machine's apt uses."""

from __future__ import annotations

import os
from contextlib import suppress

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.store.bench import Bench, bench
from sopslab.lab.tools.locks import go_on_alone
from sopslab.lab.tools.programs import Failed
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
    goes on alone. What fails there, fails again in the run that awaits it, and is told there."""

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
        sources = _sources(place, plan.codename)
        if not sources:
            raise LabError(
                f"apt on this machine knows no Debian {plan.codename}: add it to its sources, then"
                " run again"
            )
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


def _sources(place: Bench, codename: str) -> list[str]:
    """Return the lines of sources.list of a release, its updates included."""
    said = place.run(
        "apt-get", "indextargets", "--format", "deb $(SITE) $(CODENAME) $(COMPONENT)",
        "Identifier: Packages",
    )  # fmt: skip
    lines = {line for line in said.splitlines() if len(line.split()) == 4}
    return sorted(line for line in lines if f"{line.split()[2]}-".startswith(f"{codename}-"))
