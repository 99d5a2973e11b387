"""Who judges pushes: a process that has imported the policy, and forks for each push.

To import it takes longer than to judge what a learner pushes. The pre-receive hook asks at a
socket: with its priority, its folder and its environment, and with its standard streams.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

_STREAMS = (0, 1, 2)
_MOST = 128 * 1024
_PAUSE_S = 0.1


def listening(address: str) -> socket.socket:
    """Return the socket at which hooks ask."""
    # In a pod it survives the container.
    Path(address).unlink(missing_ok=True)
    asked = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asked.bind(address)
    asked.listen()
    return asked


def serve(root: Path, asked: socket.socket) -> NoReturn:
    """Answer hooks for ever: each with the byte that it is to exit with.

    + root: where the server's data is
    """
    # What takes long: the server, which has this module, too, does not wait for it.
    from sopslab.gitserver import receive

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        try:
            asker, _ = asked.accept()
            # Whoever has no judge hears so by the end of the connection.
            with asker:
                if not os.fork():
                    asked.close()
                    _answer(asker, partial(receive.main, root))
        except OSError as error:
            # There may be room again for the next push.
            print(f"error: no judge for a push: {error.strerror}", file=sys.stderr, flush=True)
            time.sleep(_PAUSE_S)


def _answer(asker: socket.socket, judge: Callable[[socket.socket], int]) -> NoReturn:
    code = 2
    try:
        # Nothing of a push can send a signal to the server by its group.
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _take_the_place_of(asker)
        code = judge(asker)
    except Exception as error:
        # A traceback could hold what was pushed.
        print(f"refused: the hook failed: {type(error).__name__}", file=sys.stderr)
    finally:
        with suppress(OSError):
            asker.send(bytes([code]))
        os._exit(code)


def _take_the_place_of(asker: socket.socket) -> None:
    """Take over the streams, the folder, the environment and the priority of the hook that asks."""
    told, streams, flags, _address = socket.recv_fds(asker, _MOST, len(_STREAMS))
    if flags & socket.MSG_TRUNC:
        raise ValueError("more than is taken")
    for number, stream in zip(_STREAMS, streams, strict=True):
        os.dup2(stream, number)
        os.close(stream)
    priority, folder, *variables = told.split(b"\0")
    os.setpriority(os.PRIO_PROCESS, 0, int(priority))
    os.chdir(folder)
    os.environb.clear()
    for variable in variables:
        name, _, value = variable.partition(b"=")
        os.environb[name] = value
