"""Replace this process by a program with bounded time and memory, and without network.

``python confine.py SECONDS BYTES PROGRAM [ARGUMENT…]``: the program may use SECONDS of processor
time and BYTES of memory of its own. If it opens a socket, SIGSYS kills it. If it takes too long, it
gets SIGXCPU, and after one more second SIGKILL. It is killed, too, when the process that started it
ends. This needs no privileges, and works in a container whose capabilities are dropped, too. The
module uses the standard library only and is run as a file, so Python starts without site and paths.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from pathlib import Path

PDEATHSIG = 1
"""The option of `prctl` with which the kernel sends a signal to a process when its parent ends."""
_SECCOMP, _NO_NEW_PRIVILEGES = 22, 38
_MODE_FILTER = 2
# The instructions of a BPF program, and its answers.
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_NUMBER, _ARCHITECTURE = 0, 4  # where the kernel's record of a system call has them
_X32 = 0x40000000
_IO_URING_SETUP = 425
# By the kernel's name of an architecture: its number, and those of the system calls socket, ptrace
# and process_vm_readv.
_ARCHITECTURES = {
    "x86_64": (0xC000003E, (41, 101, 310)),
    "aarch64": (0xC00000B7, (198, 117, 270)),
}


def seccomp_filter(machine: str) -> bytes:
    """Return the BPF program that kills a process that opens a socket or reads another's memory.

    Raises KeyError for an architecture that is not known here.
    """
    architecture, calls = _ARCHITECTURES[machine]
    denied = (*calls, _IO_URING_SETUP)
    kill = len(denied) + 5
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 0, kill - 2, architecture),
        (_LOAD, 0, 0, _NUMBER),
        (_IF_AT_LEAST, kill - 4, 0, _X32),
        *((_IF_EQUAL, kill - 5 - index, 0, number) for index, number in enumerate(denied)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _KILL),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def confine(seconds: int, size: int) -> None:
    """Confine this process and the program it becomes. Raises OSError if the kernel refuses."""
    code = seccomp_filter(platform.machine())
    text = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: the number of instructions, and where they are.
    program = ctypes.create_string_buffer(
        struct.pack("@HP", len(code) // 8, ctypes.addressof(text)), struct.calcsize("@HP")
    )
    # The soft limit sends SIGXCPU; the hard limit kills a program that ignores it.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    for limit, value in (
        (resource.RLIMIT_DATA, size),
        (resource.RLIMIT_FSIZE, size),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    die_first()
    prctl(PDEATHSIG, signal.SIGKILL)
    prctl(_NO_NEW_PRIVILEGES, 1)
    prctl(_SECCOMP, _MODE_FILTER, ctypes.addressof(program))


def die_first() -> None:
    """Have the kernel kill this process, and what it will start, before all others if the container
    runs out of memory: of several such processes the largest. Raises OSError."""
    Path("/proc/self/oom_score_adj").write_text("1000")


def prctl(option: int, value: int, pointer: int = 0) -> None:
    """Change a property of this process, as prctl(2) says. Raises OSError if the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    words = map(ctypes.c_ulong, (value, pointer, 0, 0))
    if libc.prctl(ctypes.c_int(option), *words):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def main(arguments: list[str]) -> None:
    """Confine this process and become the program."""
    seconds, size, *command = arguments
    parent = os.getppid()
    confine(int(seconds), int(size))
    if os.getppid() != parent:
        # The parent ended before PDEATHSIG was set, so its end sends no signal any more.
        sys.exit(1)
    os.execve(command[0], command, dict(os.environ))


if __name__ == "__main__":
    main(sys.argv[1:])
