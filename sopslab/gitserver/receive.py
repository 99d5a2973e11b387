"""The judgement of a push, which its pre-receive hook asks for.

It ends within a time, whatever is pushed, and with it everything that it started. What a push may
bring is in `limits`; what may be committed, the policy decides, as it does before a commit.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from sopslab.gitserver import limits, stale
from sopslab.gitserver.niceness import LONG_SECONDS, make_way
from sopslab.policy import gitleaks, pushes, report
from sopslab.policy.confine import PDEATHSIG, die_first, prctl
from sopslab.policy.processes import descendants, kill_all
from sopslab.policy.sources import SourceError

SECONDS = 25.0
"""How long a push is looked at."""
# Characters that are said of a push: until the client has read them, it keeps its place.
_MOST_SAID = 64 * 1024
# An option of prctl(2).
_CHILD_SUBREAPER = 36


def main(root: Path, asker: socket.socket) -> int:
    """Judge the push that git tells of on standard input and return 0 if it is accepted.

    + root: where the server's data is
    + asker: a connection that ends with the hook
    """
    given = os.fsdecode(sys.stdin.buffer.read())
    return supervised(lambda: judge(root, given), SECONDS, asker)


def judge(root: Path, given: str) -> int:
    """Return 0 if a push to the repository in the working directory is accepted.

    Says why on standard error where it is not; `given` are the lines that git gives to the hook.
    """
    folder = Path.cwd()
    try:
        asked = limits.updates(given)
        problem = limits.problem(limits.Repository(folder, os.environ), asked)
    except SourceError as error:
        problem = f"refused: this push cannot be looked at: {error}"
    if problem is not None:
        print(problem, file=sys.stderr)
        return 1
    stale.remove_locks(folder, [one.ref for one in asked])
    # The recipients are required by this file, and not by the `.sops.yaml` that is pushed.
    owner = folder.relative_to(root / "repositories").parts[0]
    recipients = root / "recipients" / owner
    if recipients.is_file():
        os.environ["SOPSLAB_REQUIRED_RECIPIENTS"] = recipients.read_text()
    lines = [line for line in given.split("\n") if line]
    with gitleaks.begin() as begun:
        answer = pushes.judge(lines, ".", begun)
    print(shortened(report.as_text(answer)))
    return answer.exit_code


def shortened(text: str) -> str:
    """Return lines of which the last one sums up the others; if they are too long, without some of
    those before it."""
    if len(text) <= _MOST_SAID:
        return text
    lines, _, last = text.rpartition("\n")
    shown = lines[:_MOST_SAID].rpartition("\n")[0]
    return f"{shown}\n… and more, which is not shown here\n{last}"


def supervised(work: Callable[[], int], seconds: float, asker: socket.socket) -> int:
    """Return what `work` returns in a child, or 1, and a sentence, if that takes too long.

    No process of the child survives, not even one that was started in a session of its own: neither
    when the time is over, nor when whoever asked has gone.
    """
    # What loses its parent becomes this process's child.
    prctl(_CHILD_SUBREAPER, 1)
    supervisor = os.getpid()
    child = os.fork()
    if not child:
        asker.close()
        _work(work, supervisor)
    try:
        return _awaited(child, seconds, asker)
    finally:
        _end_descendants()


def _awaited(child: int, seconds: float, asker: socket.socket) -> int:
    """Return the exit code of a child, or 1 if its time is over, or nobody asks any more."""
    ended = os.pidfd_open(child)
    events = select.poll()
    for one in (ended, asker.fileno()):
        events.register(one, select.POLLIN)
    happened = events.poll(1000 * min(LONG_SECONDS, seconds))
    if not happened:
        make_way(descendants(os.getpid()))
        happened = events.poll(1000 * max(seconds - LONG_SECONDS, 0))
    if not happened:
        print(
            f"refused: this push could not be judged within {seconds:.0f} s. Push less at a"
            " time; what takes so long is no lab's",
            file=sys.stderr,
        )
        return 1
    if ended not in dict(happened):
        return 1
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL:
        print(
            "refused: this push needs more memory than there is to judge it. Push less at a time",
            file=sys.stderr,
        )
    return abs(code)


def _work(work: Callable[[], int], supervisor: int) -> NoReturn:
    """Run `work` in the child, and end the child."""
    code = 2
    try:
        # Without its supervisor nothing bounds it.
        prctl(PDEATHSIG, signal.SIGKILL)
        # What takes up the memory of all is ended, and not the server, or the build of another.
        die_first()
        judged = work() if os.getppid() == supervisor else code
        sys.stdout.flush()
        sys.stderr.flush()
        # A push is not accepted before everything is said.
        code = judged
    except Exception as error:
        # A traceback could hold what was pushed.
        with suppress(OSError):
            print(f"refused: the hook failed: {type(error).__name__}", file=sys.stderr)
    finally:
        os._exit(code)


def _end_descendants() -> None:
    deadline = time.monotonic() + 3
    while (left := descendants(os.getpid())) and time.monotonic() < deadline:
        kill_all(left)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)
