"""A room of two machines that are containers: a delivery compared with `tar | zstd | ssh`, and a
run over all seats compared with a run over the slowest one."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from sopslab.artifacts.catalog import load_catalog
from sopslab.config.inputs import local_settings
from sopslab.lab.bundles.stored import stored
from sopslab.model.machines import Machine
from sopslab.room.client import client
from sopslab.room.connection import Connection
from sopslab.room.delivery import Cargo, deliver, prepare
from tests.bench.figures import spread
from tests.bench.products import Product
from tests.cluster.debian import ENGINE
from tests.cluster.seats import PACKAGES, SUITE, Room, room

ROUNDS = 3
# The version in the distribution of the seats.
PYTHON = "3.11"


def measure_room(folder: Path, products: Sequence[Product]) -> Iterator[dict[str, Any]]:
    """Yield, as parts of the report, the ratio of a delivery to sending the same files by `tar |
    zstd | ssh`, the bytes that a seat is sent, the seconds of first and second runs, and the ratio
    of a second run over all seats to the slowest second run over a single one.

    An earlier product is not measured, because the delivery is called as a function of this
    checkout, and not run as a command.
    """
    with room(folder, ["ada", "bob"], [*PACKAGES, *ENGINE[SUITE], "zstd"]) as made:
        yield {"room": {"seats": len(made.seats), **_measure_delivery(made)}}
        _, first = _timed(made.up)
        alone = [_timed(lambda seat=seat: made.up("--limit", seat))[1] for seat in made.seats]  # type: ignore[misc]
        together = [_timed(made.up)[1] for _ in range(ROUNDS)]
        yield {
            "room": {
                "first_run": round(first, 1),
                "second_run": spread(together, 1),
                "second_run_vs_slowest_alone": spread([one / max(alone) for one in together], 2),
            }
        }
        made.sopslab("down", "--yes")


def _measure_delivery(made: Room) -> dict[str, Any]:
    """Return what it takes to send a seat all entries of the store, after the product."""
    lab = local_settings().for_machine
    contents = stored(lab, load_catalog(local_settings().catalog), [PYTHON])
    with prepare(lab, contents, lambda *_: None) as cargo:
        return _measure_with(made, lab.store, cargo)


def _measure_with(made: Room, store: str, cargo: Cargo) -> dict[str, Any]:
    seat = made.seats["ada"]
    shown = client(made.folder / "ssh", seat.key)
    connection = Connection(shown, Machine(seat.address, user="root"))
    ratios, seconds = [], []
    for number in range(ROUNDS):
        root = f"/root/delivery-{number}"
        _deliver(connection, replace(cargo, entries=()), root)
        _, ours = _timed(lambda root=root: _deliver(connection, cargo, root))  # type: ignore[misc]
        target = f"/root/plain-{number}"
        plain = shown.command(
            connection.machine, "sh", "-c", f"mkdir {target} && zstd -dq | tar -C {target} -x"
        )
        _, by_hand = _timed(lambda plain=plain: _by_hand(store, cargo, plain))  # type: ignore[misc]
        seat.machine.run("rm", "-r", root, target)
        ratios.append(ours / by_hand)
        seconds.append(ours)
    connection.close()
    return {
        "delivery_vs_tar": spread(ratios, 2),
        "delivery": spread(seconds, 1),
        "product_mb": round(cargo.product.size / 1e6),
        "entries_mb": round(sum(member.size for member in cargo.entries) / 1e6),
    }


def _deliver(connection: Connection, cargo: Cargo, root: str) -> None:
    deliver(connection, cargo, root, lambda *_: None, nullcontext())


def _by_hand(store: str, cargo: Cargo, plain: list[str]) -> None:
    """Send the same entries with stock tools."""
    keys = shlex.join(member.name for member in cargo.entries)
    sending = f"tar -C {shlex.quote(store)} -c {keys} | zstd -q -T0 | {shlex.join(plain)}"
    bash = shutil.which("bash") or "bash"
    subprocess.run([bash, "-o", "pipefail", "-c", sending], check=True, timeout=900)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.monotonic()
    answer = work()
    return answer, time.monotonic() - started
