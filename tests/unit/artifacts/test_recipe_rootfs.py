"""The recipe that makes root file systems, with stand-ins for apt and mmdebstrap."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.config.places import Lab
from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.observe.store import store_state
from sopslab.lab.store import rootfs
from sopslab.lab.tools.waiting import wait_until
from sopslab.model.recipes import RootfsPlan
from sopslab.provision.command import acting
from tests.fake import run_command
from tests.texts import write_files
from tests.unit.artifacts.conftest import StandIn, entry

BOOKWORM = """http://mirror.example/debian bookworm main /none/a.list:1 Debian
http://mirror.example/debian bookworm main /none/a.list:1 Debian
http://mirror.example/debian bookworm-updates main /none/a.list:2 Debian
http://mirror.example/security bookworm-security main /none/a.list:3 Debian
http://mirror.example/debian bookworm-backports main /none/a.list:4 Debian Backports
https://download.example/linux/debian bookworm stable /none/b.list:1 Docker
http://other.example/apt bookwormish main /none/c.list:1 Other
http://other.example/apt stable main /none/c.list:2
"""
TRIXIE = BOOKWORM.replace("bookworm", "trixie").replace("trixie stable", "bookworm stable")
UBUNTU = """http://mirror.example/ubuntu noble main /none/a.sources:1 Ubuntu
http://mirror.example/ubuntu noble-security main /none/a.sources:2 Ubuntu
"""
# A mirror that names itself, beside Debian's own of the security updates.
RENAMED = """http://mirror.example/debian bookworm main /none/a.list:1 Acme
http://mirror.example/debian bookworm-updates main /none/a.list:2 $(ORIGIN)
http://mirror.example/security bookworm-security main /none/a.list:3 Debian
"""
LINES = [
    "deb http://mirror.example/debian bookworm main",
    "deb http://mirror.example/debian bookworm-updates main",
    "deb http://mirror.example/security bookworm-security main",
]


def targets(said: str) -> str:
    """Return the stand-in for an apt-get that knows these targets."""
    return f"cat <<'END'\n{said.rstrip()}\nEND" if said else "exit 0"


PLAN = RootfsPlan("bookworm", "minbase", ("git", "jq"))
WANTED = entry("small-rootfs", "rootfs.tar")


@pytest.mark.parametrize(
    "known", [BOOKWORM, TRIXIE, RENAMED], ids=["this release", "another one", "renamed"]
)
def test_it_is_made_from_the_mirrors_of_this_machines_apt(
    place: Lab,
    stand_in: StandIn,
    calls: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    known: str,
) -> None:
    stand_in("apt-get", targets(known))
    stand_in("mmdebstrap", "cat")
    stand_in("sudo", '[ "$1" = --non-interactive ]; shift; exec "$@"')
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    rootfs.make(place, PLAN, WANTED)
    made = Path(place.store, WANTED.key, "rootfs.tar")
    assert made.read_text().splitlines() == LINES
    (command,) = [call for call in calls() if call.startswith("mmdebstrap ")]
    assert "--variant=minbase" in command and "--include=git,jq" in command
    assert [call for call in calls() if call.startswith("sudo --non-interactive mmdebstrap")]
    # The second run finds the file system made.
    stand_in("apt-get", "exit 1")
    rootfs.make(place, PLAN, WANTED)


def test_a_machine_without_a_mirror_of_debian_is_told_so_before_the_work_begins(
    place: Lab, stand_in: StandIn
) -> None:
    stand_in("apt-get", targets(UBUNTU))
    with pytest.raises(LabError, match="knows no mirror of Debian"):
        rootfs.begin(place, [PLAN], [WANTED])
    with pytest.raises(LabError, match="knows no mirror of Debian"):
        rootfs.make(place, PLAN, WANTED)


@pytest.mark.parametrize("known", ["", UBUNTU])
def test_who_has_no_package_lists_is_told_to_get_them(
    place: Lab, stand_in: StandIn, known: str
) -> None:
    stand_in("apt-get", targets(known))
    with pytest.raises(LabError, match="run `apt-get update`"):
        rootfs.begin(place, [PLAN], [WANTED])


SOURCES = """# Types: none
Types: deb
URIs: http://mirror.example/debian
# Signed-By: /none.gpg
Signed-By: /keys/own.gpg

# Nothing is here.

types: deb
signed-by:
 /keys/a.gpg /keys/b.gpg
Suites: bookworm-updates

Types: deb
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 /mQINBF
"""
LIST = f"""# deb [signed-by=/none.gpg] http://mirror.example/debian bookworm main
deb [ arch=amd64 signed-by=/keys/a.asc,{"A" * 40} ] http://mirror.example/debian bookworm main
deb [arch=amd64] http://mirror.example/debian bookworm main
"""


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ("a.sources:1", "[signed-by=/keys/own.gpg] "),
        ("a.sources:2", "[signed-by=/keys/a.gpg,/keys/b.gpg] "),
        # The key itself fits into no line.
        ("a.sources:3", ""),
        ("a.sources:4", ""),
        ("a.list:2", f"[signed-by=/keys/a.asc,{'A' * 40}] "),
        ("a.list:3", ""),
        ("a.list:0", ""),
        ("$(SOURCESENTRY)", ""),
    ],
)
def test_whose_signatures_count_for_a_mirror_is_what_its_source_says(
    place: Lab, stand_in: StandIn, tmp_path: Path, source: str, keys: str
) -> None:
    write_files(tmp_path, {"a.sources": SOURCES, "a.list": LIST})
    stand_in(
        "apt-get", targets(f"http://mirror.example/debian bookworm main {tmp_path}/{source} Debian")
    )
    stand_in("mmdebstrap", "cat")
    stand_in("sudo", 'shift; exec "$@"')
    rootfs.make(place, PLAN, WANTED)
    made = Path(place.store, WANTED.key, "rootfs.tar").read_text()
    assert made == f"deb {keys}http://mirror.example/debian bookworm main\n"


def test_suites_that_become_one_have_the_keys_of_one(
    place: Lab, stand_in: StandIn, tmp_path: Path
) -> None:
    write_files(tmp_path, {"a.sources": SOURCES})
    one = f"http://mirror.example/debian trixie main {tmp_path}/a.sources:1 Debian\n"
    stand_in(
        "apt-get", targets(one + one.replace("trixie main", "sid contrib").replace(":1", ":3"))
    )
    stand_in("mmdebstrap", "cat")
    stand_in("sudo", 'shift; exec "$@"')
    rootfs.make(place, PLAN, WANTED)
    made = Path(place.store, WANTED.key, "rootfs.tar").read_text()
    suite = "deb [signed-by=/keys/own.gpg] http://mirror.example/debian bookworm"
    assert made.splitlines() == [f"{suite} contrib", f"{suite} main"]


def test_packages_that_are_not_to_be_had_are_told_and_nothing_is_stored(
    place: Lab, stand_in: StandIn
) -> None:
    stand_in("apt-get", targets(BOOKWORM))
    stand_in("mmdebstrap", "echo half; exit 1")
    with pytest.raises(LabError, match="could not be made from Debian packages: see above"):
        rootfs.make(place, PLAN, WANTED)
    assert list(Path(place.store).iterdir()) == []


def test_what_is_begun_goes_on_while_others_work_and_is_awaited(
    lab: Callable[..., Settings],
    stand_in: StandIn,
    calls: Callable[[], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = lab()
    monkeypatch.setenv("GO_ON", str(tmp_path / "go-on"))
    stand_in("apt-get", targets(BOOKWORM))
    stand_in("mmdebstrap", 'until [ -e "$GO_ON" ]; do sleep 0.1; done; cat')
    other = entry("other-rootfs", "rootfs.tar")
    begun = run_command(acting(settings, rootfs.begin, plans=[PLAN, PLAN], entries=[WANTED, other]))
    # The command has ended and has closed its outputs; the work that it began goes on.
    assert (begun.returncode, begun.stderr) == (0, "")

    def faults() -> list[str | None]:
        found = store_state(settings.for_machine, images=[])
        return [found.fault(each) for each in (WANTED, other)]

    assert faults() == [f"{each.key} is missing" for each in (WANTED, other)]
    assert wait_until(Path(settings.root, "cache", f"{WANTED.key}.lock").exists, 20)
    (tmp_path / "go-on").touch()
    awaited = run_command(acting(settings, rootfs.make, plan=PLAN, entry=WANTED))
    assert awaited.returncode == 0, awaited.stderr
    assert faults()[0] is None
    assert wait_until(lambda: faults() == [None, None], 20)
    # It was asked once for both, however long the second has waited for the first.
    assert len([call for call in calls() if call.startswith("apt-get ")]) == 1
