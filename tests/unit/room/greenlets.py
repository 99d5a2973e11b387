"""Run commands that wait for each other on two machines, each in a greenlet, as in pyinfra.

python greenlets.py CLIENT SOCKETS KEY FOLDER PORT PORT
"""

# ruff: noqa: E402
from gevent import monkey  # type: ignore[import-untyped]

monkey.patch_all()

import sys
from pathlib import Path

import gevent

from sopslab.model.machines import Machine
from sopslab.room.client import Client
from sopslab.room.connection import Connection

MEETING = """
import pathlib, sys, time
mine, other = map(pathlib.Path, sys.argv[1:])
mine.touch()
while not other.exists(): time.sleep(0.05)
"""


def meet(client: Client, port: str, mine: str, other: str) -> int:
    connection = Connection(client, Machine("127.0.0.1", int(port)))
    try:
        return connection.run(["python3", "-c", MEETING, mine, other], bytes(200_000), 300).code
    finally:
        connection.close()


def main(folder: str, sockets: str, key: str, place: str, *ports: str) -> None:
    client = Client(Path(folder), Path(sockets), Path(key))
    names = [f"{place}/{port}" for port in ports]
    met = [
        gevent.spawn(meet, client, port, mine, other)
        for port, mine, other in zip(ports, names, reversed(names), strict=True)
    ]
    gevent.joinall(met, raise_error=True)
    assert [each.value for each in met] == [0, 0]


main(*sys.argv[1:])
