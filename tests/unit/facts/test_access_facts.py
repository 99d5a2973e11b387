"""The facts about learners' access on a host: whole, missing, or stale for a named reason; with the
real openssl."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sopslab.config.settings import Settings
from sopslab.lab.observe.access import access_ends, seat_access
from sopslab.lab.observe.users import retired_access, seat_generations
from sopslab.provision.operations import access
from tests.beginnings import begin
from tests.fake import Applied
from tests.marks import partly_soak
from tests.signing import SigningCluster
from tests.texts import replaced

SEATS = ["ada", "bob", "007", "no"]


@pytest.fixture
def settings(lab: Callable[..., Settings]) -> Settings:
    return lab()


@pytest.fixture
def cluster(settings: Settings, beginnings: Path) -> SigningCluster:
    """A cluster that has signed a certificate for each seat."""

    def make() -> None:
        SigningCluster(settings)
        assert Applied(access.generations, settings=settings, seats=SEATS).changed
        assert Applied(access.kubeconfigs, settings=settings, seats=SEATS).changed

    begin(Path(settings.root), beginnings / "signed", make)
    return SigningCluster(settings)


def states(settings: Settings, seats: list[str]) -> dict[str, str]:
    found = seat_access(settings.for_machine, seats=seats)
    assert isinstance(found, dict)
    return found


def test_without_a_class_everybody_lacks_access(settings: Settings) -> None:
    assert states(settings, SEATS) == dict.fromkeys(SEATS, "missing")
    assert states(settings, []) == {}


def test_access_that_is_as_it_should_be_is_current(
    settings: Settings, cluster: SigningCluster
) -> None:
    assert states(settings, SEATS) == dict.fromkeys(SEATS, "current")
    assert states(settings, ["ada", "eve"]) == {"ada": "current", "eve": "missing"}


def append(path: Path) -> None:
    path.write_text(path.read_text() + "# mine\n")


def truncate(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:4]))


def of_bob(path: Path) -> None:
    shutil.copy(path.parent.parent / "bob" / path.name, path)


def elsewhere(path: Path) -> None:
    path.write_text(replaced(path.read_text(), "127.0.0.1:6443", "127.0.0.1:6444"))


def write(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def mode(bits: int) -> Callable[[Path], object]:
    return lambda path: path.chmod(bits)


EDITED = "it is not what was written"
ELSEWHERE = "it leads to another cluster"
OPEN = "others could read it"
UNREADABLE = "its certificate cannot be read"
OTHER_GENERATION = "its certificate is of another generation"
OTHER_KEY = "its key does not fit its certificate"
NO_GENERATION = "its generation cannot be read"

DAMAGE: dict[str, tuple[str, Callable[[Path], object], str | None]] = {
    "no-kubeconfig": ("kubeconfig", Path.unlink, None),
    "empty-kubeconfig": ("kubeconfig", write(""), None),
    "another-cluster": ("kubeconfig", elsewhere, ELSEWHERE),
    "edited": ("kubeconfig", append, EDITED),
    "truncated": ("kubeconfig", truncate, ELSEWHERE),
    "binary": ("kubeconfig", lambda path: path.write_bytes(b"\0\xff"), EDITED),
    "another-kubeconfig": ("kubeconfig", of_bob, EDITED),
    "kubeconfig-644": ("kubeconfig", mode(0o644), OPEN),
    "key-640": ("client.key", mode(0o640), OPEN),
    "no-certificate": ("client.crt", Path.unlink, UNREADABLE),
    "half-a-certificate": ("client.crt", truncate, UNREADABLE),
    "another-certificate": ("client.crt", of_bob, OTHER_GENERATION),
    "no-key": ("client.key", Path.unlink, OTHER_KEY),
    "another-key": ("client.key", of_bob, OTHER_KEY),
    "next-generation": ("generation", write("c0ffee00c0ffee\n"), OTHER_GENERATION),
    "another-generation": ("generation", of_bob, OTHER_GENERATION),
    "no-generation": ("generation", Path.unlink, NO_GENERATION),
    "empty-generation": ("generation", write(""), NO_GENERATION),
    "a-count": ("generation", write("1\n"), NO_GENERATION),
    "words-for-a-generation": ("generation", write("the first\n"), NO_GENERATION),
}


# Each is recognised in the same way as another one.
LONG_TAIL = {
    *("empty-kubeconfig", "truncated", "binary", "another-kubeconfig", "half-a-certificate"),
    *("another-key", "another-generation", "empty-generation", "words-for-a-generation"),
}


@pytest.mark.parametrize("damage", partly_soak(DAMAGE, LONG_TAIL))
def test_damage_is_named_and_ascribed_to_nobody_else(
    damage: str, settings: Settings, cluster: SigningCluster
) -> None:
    file, inflict, fault = DAMAGE[damage]
    inflict(Path(settings.seat_dir("ada")) / file)
    expected = "missing" if fault is None else f"stale: {fault}"
    assert states(settings, SEATS) == {**dict.fromkeys(SEATS, "current"), "ada": expected}


def test_two_damaged_seats_do_not_make_up_for_each_other(
    settings: Settings, cluster: SigningCluster
) -> None:
    # There are as many keys as there should be: two of bob's, and none of ada's.
    ada, bob = (Path(settings.seat_dir(seat)) for seat in ("ada", "bob"))
    (ada / "client.key").unlink()
    (bob / "client.key").write_text((bob / "client.key").read_text() * 2)
    found = states(settings, SEATS)
    assert found["ada"].startswith("stale: ")
    assert found["bob"].startswith("stale: ")
    assert (found["007"], found["no"]) == ("current", "current")


def test_a_cluster_made_anew_makes_all_access_stale(
    settings: Settings, cluster: SigningCluster
) -> None:
    cluster.make_anew("https://127.0.0.1:6443")
    wanted = "stale: it leads to another cluster"
    assert states(settings, SEATS) == dict.fromkeys(SEATS, wanted)


def test_without_a_cluster_all_access_is_stale(settings: Settings, cluster: SigningCluster) -> None:
    Path(settings.lab_kubeconfig).unlink()
    wanted = "stale: there is no cluster that it leads to"
    assert states(settings, SEATS) == dict.fromkeys(SEATS, wanted)


def test_a_certificate_for_a_day_is_not_stale_as_soon_as_it_is_signed(settings: Settings) -> None:
    SigningCluster(settings).tell("days", "1")
    assert Applied(access.generations, settings=settings, seats=["ada"]).changed
    assert Applied(access.kubeconfigs, settings=settings, seats=["ada"]).changed
    assert states(settings, ["ada"]) == {"ada": "current"}
    (end,) = access_ends(settings.for_machine, ["ada", "bob"]).values()
    assert timedelta(hours=23) < datetime.fromisoformat(end) - datetime.now(UTC) <= timedelta(1)


def test_generations_are_read_and_counts_are_none(settings: Settings) -> None:
    assert seat_generations(settings.for_machine) == {}
    one, two = "5f0c9a31e27b44", "20261128121300"
    written = {"ada": f"{one}\n", "bob": two, "eve": "", "joe": "two\n", "kim": "12\n",
               "leo": f"{one}0\n", "zoe": f"{one.upper()}\n"}  # fmt: skip
    for seat, generation in written.items():
        folder = Path(settings.seat_dir(seat))
        folder.mkdir(parents=True)
        (folder / "generation").write_text(generation)
    Path(settings.seat_dir("new")).mkdir()
    assert seat_generations(settings.for_machine) == {"ada": one, "bob": two}


def test_what_was_replaced_and_not_proven_is_found(settings: Settings) -> None:
    assert retired_access(settings.for_machine, seats=["ada", "bob"]) == []
    (Path(settings.class_dir) / "retired" / "bob" / "1").mkdir(parents=True)
    assert retired_access(settings.for_machine, seats=["ada", "bob"]) == ["bob"]
