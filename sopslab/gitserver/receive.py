"""``python -m sopslab.gitserver.receive ROOT``: the pre-receive hook of the Git server.

It ends within a time, whatever is pushed, and with it everything that it started. What a push may
bring is in `limits`; what may be committed, the policy decides, as it does before a commit.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from sopslab.gitserver.niceness import LONG_SECONDS, make_way

SECONDS = 25.0
"""How long a push is looked at."""


def main(root: str) -> int:
    """Judge the push that git tells of and return 0 if it is accepted."""
    given = os.fsdecode(sys.stdin.buffer.read())
    return supervised(lambda: judge(Path(root), given), SECONDS)


def judge(root: Path, given: str) -> int:
    """Return 0 if a push to the repository in the working directory is accepted.

    Says why on standard error where it is not; `given` are the lines that git gives to the hook.
    """
    from sopslab.gitserver import limits, stale
    from sopslab.policy import callers
    from sopslab.policy.sources import SourceError

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
    return callers.show(callers.pre_receive(lines), as_json=False)


def supervised(work: Callable[[], int], seconds: float) -> int:
    """Return what `work` returns in a child, or 1, and a sentence, if that takes too long.

    No process of the child survives: neither when the time is over, nor when git, whose hook this
    is, ends first, nor one that was started in a session of its own.
    """
    git = os.getppid()
    signal.signal(signal.SIGTERM, _stop)
    child = os.fork()
    if not child:
        for number in (signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        _work(work)
    _adopt_orphans()

    def go_on(_number: int, _frame: FrameType | None) -> None:
        make_way(_descendants(os.getpid()))
        signal.signal(signal.SIGALRM, _stop)
        signal.setitimer(signal.ITIMER_REAL, max(seconds - LONG_SECONDS, 0.001))

    signal.signal(signal.SIGALRM, go_on)
    signal.setitimer(signal.ITIMER_REAL, min(LONG_SECONDS, seconds))
    try:
        if os.getppid() != git:
            return 1
        _, status = os.waitpid(child, 0)
        return abs(os.waitstatus_to_exitcode(status))
    except _Stopped as stopped:
        if stopped.number == signal.SIGALRM:
            print(
                f"refused: this push could not be judged within {seconds:.0f} s. Push less at a"
                " time; what takes so long is no lab's",
                file=sys.stderr,
            )
        return 1
    finally:
        for number in (signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        _end_descendants()


class _Stopped(Exception):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _stop(number: int, _frame: FrameType | None) -> None:
    raise _Stopped(number)


def _work(work: Callable[[], int]) -> None:
    """Run `work` in the child, and end the child."""
    code = 2
    try:
        code = work()
    except Exception as error:
        # A traceback could hold what was pushed.
        print(f"refused: the hook failed: {type(error).__name__}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own, and hear when git ends."""
    import ctypes

    pr_set_pdeathsig, pr_set_child_subreaper = 1, 36
    libc = ctypes.CDLL(None)
    libc.prctl(pr_set_child_subreaper, 1)
    libc.prctl(pr_set_pdeathsig, signal.SIGTERM)


def _end_descendants() -> None:
    deadline = time.monotonic() + 3
    while (left := _descendants(os.getpid())) and time.monotonic() < deadline:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def _descendants(top: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = Path(entry.path, "stat").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            # The name, in brackets, may hold anything; the state and the parent come after it.
            parent = int(stat.rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found, pending = [], [top]
    while pending:
        below = children.get(pending.pop(), [])
        found += below
        pending += below
    return found


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
