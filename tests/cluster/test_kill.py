"""Wherever a run is killed, the next one continues it and makes the same lab with the same keys."""

from __future__ import annotations

import fcntl
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from sopslab.errors import Exit
from tests.cluster.interruption import Run
from tests.cluster.lab import SOPSLAB, Lab, run, wait_until
from tests.cluster.watching import descendants, normal_state
from tests.marks import soak

# For each attempt: after how many seconds the run is killed in an operation, and whether with all
# that it started. In every operation that is not named here, one run is killed as it starts.
MOMENTS = {"Begin the kind cluster": [(0.5, True), (3.0, True), (6.0, True), (3.0, False)]}


@pytest.mark.soak
@pytest.mark.restores
def test_killed_at_every_operation_it_ends_as_if_it_never_was(lab: Lab, tmp_path: Path) -> None:
    reference = lab.birth["state"]
    lab.remove()
    attempts: Counter[str] = Counter()
    kills: list[str] = []
    public: dict[str, str] = {}

    def moments(operation: str) -> list[tuple[float, bool]]:
        special = (value for part, value in MOMENTS.items() if part in operation)
        return next(special, [(0.0, len(kills) % 2 == 0)])

    ended = False
    while not ended:
        with Run(lab, tmp_path / "output") as attempt:
            operation = attempt.until_start(lambda name: attempts[name] < len(moments(name)))
            if operation is None:
                ended = True
            else:
                seconds, group = moments(operation)[attempts[operation]]
                attempts[operation] += 1
                kills.append(operation)
                if not attempt.ends_within(seconds):
                    attempt.kill(group=group)
        assert attempt.process.returncode in (0, -signal.SIGKILL), (
            kills[-3:], attempt.output.read_text()[-3000:],
        )  # fmt: skip
        for name, recipient in recipients(lab).items():
            assert public.setdefault(name, recipient) == recipient
        assert public.keys() == recipients(lab).keys()
    assert attempt.process.returncode == 0
    # A run was killed in every operation, and none of the keys ever changed.
    assert attempts.keys() == set(attempt.plan) and attempt.plan
    assert set(public) == {"learner", "instructor"}
    answer = lab.up()
    assert (answer["changed"], lab.changes(answer)) == (0, [])
    state = normal_state(lab)
    differences = {part: state[part] ^ reference[part] for part in reference}
    assert {part: items for part, items in differences.items() if items} == {}
    commits = run(["git", "rev-list", "--count", "refs/heads/main"], cwd=lab.bare).stdout.strip()
    assert commits == "1"


def has_open(pid: int, path: Path) -> bool:
    """Return whether a process has a file open."""
    try:
        return any(one.readlink() == path for one in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def recipients(lab: Lab) -> dict[str, str]:
    """Return the public keys that the identities in the store have now."""
    keys = sorted(Path(lab.settings.keys_dir).glob("*.agekey"))
    return {key.stem: lab.recipient(key.stem) for key in keys}


@pytest.mark.restores
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, Exit.INTERRUPTED),
        soak(signal.SIGTERM, Exit.TERMINATED),
    ],
)
def test_a_signal_stops_the_run_and_leaves_no_process(
    lab: Lab, number: signal.Signals, code: Exit
) -> None:
    # While another process holds this lock, the run waits in the middle of its work.
    lock = Path(lab.settings.lab_dir) / ".cluster.lock"
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [SOPSLAB, "up", "--json"],
            env=lab.base_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            wait_until(
                lambda: any(has_open(pid, lock) for pid in descendants(process.pid)),
                "the run waits for the lock",
            )
            started = descendants(process.pid)
            assert any("sopslab.run.start" in line for line in started.values())
            process.send_signal(number)
            said, _ = process.communicate(timeout=20)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == code
    assert "the same command goes on from here" in said
    wait_until(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in started),
        "every process of the run is gone",
        seconds=20,
    )
    answer = lab.up()
    assert (answer["changed"], lab.changes(answer)) == (0, [])
