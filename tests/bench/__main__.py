"""Measure the lab beside the same work done by hand, and write build/bench.json.

    python -m tests.bench

Every figure is taken in this one run, so that the machine's mood is in both sides of a ratio; with
each comes the range that was seen. `python -m tests.bench.figures` puts them into README.md.
"""

from __future__ import annotations

import base64
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sopslab.artifacts.catalog import load_catalog
from sopslab.layout import NAMESPACE
from tests.bench import figures
from tests.bench.classroom import measure_class
from tests.bench.figures import spread
from tests.bench.policy import measure_policy
from tests.bench.processor import Spent, measured
from tests.bench.room import measure_room
from tests.cluster.hand_made import plain_configuration
from tests.cluster.lab import Lab, free_port, lab_name, run

PAIRS = 3
SECOND_RUNS = 3
PUSHES = 20
BY_HAND = Path(__file__).with_name("by_hand.sh")
SERVER = Path(__file__).with_name("lighttpd.conf")
HAND = "lab-by-hand"


def main() -> int:
    """Run every measurement and return 0."""
    run([str(Path(sys.executable).parent / "sopslab"), "fetch"])
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="sops-lab-bench-") as folder:
        lab = Lab(lab_name("bench"), Path(folder) / "lab", {})
        try:
            report["up_vs_by_hand"], report["steps"] = measure_up(lab, Path(folder))
            report["second_up"] = measure_second(lab, report["up_vs_by_hand"]["up"]["median"])
            report["push_to_secret"] = measure_push(lab, Path(folder))
            report["memory_mib"] = measure_memory(lab)
            report["doctor"] = measure_doctor(lab)
        finally:
            lab.remove()
        report["class"] = measure_class(Path(folder) / "class")
        report["room"] = measure_room(Path(folder) / "room")
    report["policy"] = measure_policy()
    figures.REPORT.parent.mkdir(exist_ok=True)
    figures.REPORT.write_text(json.dumps(report, indent=2) + "\n")
    print("\n".join(figures.lines(report)))
    print(json.dumps(report, indent=2))
    return 0


def measure_up(lab: Lab, folder: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """Return the ratio of `sopslab up` to the stock commands, in pairs, and the steps' seconds."""
    pairs: list[tuple[Spent, Spent]] = []
    answers: list[dict[str, Any]] = []
    for number in range(PAIRS):
        remove_by_hand()
        hand = measured(
            lambda number=number: by_hand(lab, folder / f"hand-{number}"),  # type: ignore[misc]
            [f"{HAND}-control-plane", f"{HAND}-git"],
        )
        remove_by_hand()
        lab.remove()
        up = measured(lambda: answers.append(lab.up()), [lab.node, lab.git_server])
        pairs.append((up, hand))
        print(f"pair {number + 1}: up {up}, by hand {hand}", flush=True)
    steps = [{step["name"]: step["seconds"] for step in answer["steps"]} for answer in answers]
    return (
        compared(pairs),
        {name: round(statistics.median(s[name] for s in steps), 2) for name in steps[0]},
    )


def compared(pairs: Sequence[tuple[Spent, Spent]]) -> dict[str, Any]:
    """Return what pairs of `up` and the stock commands took, and the ratios of each pair."""
    return {
        "processor_ratio": spread([up.processor / hand.processor for up, hand in pairs], 3),
        "ratio": spread([up.seconds / hand.seconds for up, hand in pairs], 3),
        "up_processor": spread([up.processor for up, _ in pairs]),
        "by_hand_processor": spread([hand.processor for _, hand in pairs]),
        "up": spread([up.seconds for up, _ in pairs]),
        "by_hand": spread([hand.seconds for _, hand in pairs]),
    }


def by_hand(lab: Lab, folder: Path) -> None:
    """Do the work with the stock commands."""
    folder.mkdir()
    catalog = load_catalog(lab.settings.catalog)
    (folder / "kind.yaml").write_text(json.dumps(plain_configuration(catalog.node_tag)))
    environment = {
        **lab.base_environment,
        "PATH": f"{lab.settings.bin_dir}:{lab.base_environment['PATH']}",
    }
    run(
        [
            str(BY_HAND), HAND, str(folder), catalog.node_tag, catalog.git_tag,
            str(free_port()), str(folder / "kind.yaml"), str(SERVER),
        ],
        env=environment,
    )  # fmt: skip


def remove_by_hand() -> None:
    """Remove what `by_hand` made."""
    for container in (f"{HAND}-control-plane", f"{HAND}-git"):
        run(["docker", "rm", "--force", "--volumes", container], check=False)
    run(["docker", "network", "rm", HAND], check=False)
    rules = run(["iptables", "-w", "10", "-S", "DOCKER-USER"], check=False).stdout
    for rule in rules.splitlines():
        if f"-i {HAND} " in rule:
            run(["iptables", "-w", "10", "-D", *rule.split()[1:]])


def measure_second(lab: Lab, first: float) -> dict[str, Any]:
    """Return what runs on a lab that is up take, and how much they change.

    + first: the seconds of a first run
    """
    answers: list[dict[str, Any]] = []
    # What the cluster does by itself meanwhile is not the run's.
    taken = [measured(lambda: answers.append(lab.up()), []) for _ in range(SECOND_RUNS)]
    return {
        "processor": spread([one.processor for one in taken], 2),
        "ratio": spread([one.seconds / first for one in taken], 3),
        "seconds": spread([one.seconds for one in taken], 2),
        "changed": sum(answer["changed"] for answer in answers),
    }


def measure_doctor(lab: Lab) -> dict[str, float]:
    """Return the seconds that the doctor takes: for a lab that is well, and for one without key."""
    well = timed(lambda: lab.sopslab("doctor", "--json"))
    lab.sopslab("reset", "--to", "done", "--json")
    lab.sopslab("break", "missing-key", "--json")
    ill = timed(lambda: lab.sopslab("doctor", "--json", check=False))
    lab.sopslab("fix", "--json")
    return {"well": round(well, 2), "missing_key": round(ill, 2)}


def measure_push(lab: Lab, folder: Path) -> dict[str, Any]:
    """Return the seconds from `git push` to the new value in the cluster's Secret."""
    clone = lab.learner(folder)
    kustomization = clone / "flux" / "secrets" / "develop" / "kustomization.yaml"
    kustomization.write_text(
        kustomization.read_text().replace("# - backend-secrets.yaml", "- backend-secrets.yaml")
    )
    watch = subprocess.Popen(
        [
            "kubectl", "--namespace", NAMESPACE, "get", "secret", "--watch",
            "--output", "jsonpath={.data.token}{'\\n'}",
        ],
        env=lab.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        taken = sorted(one_push(lab, clone, watch, number) for number in range(PUSHES))
    finally:
        watch.terminate()
        watch.wait()
    return {
        "pushes": PUSHES,
        "median": round(statistics.median(taken), 2),
        "p95": round(statistics.quantiles(taken, n=20, method="inclusive")[18], 2),
        "min": round(taken[0], 2),
        "max": round(taken[-1], 2),
    }


def one_push(lab: Lab, clone: Path, watch: subprocess.Popen[str], number: int) -> float:
    """Push a new value and return the seconds until the watch shows it."""
    value = f"value-{number}"
    lab.run(
        "scripts/sops-encrypt-secret.sh", "develop", "backend-secrets", "--force",
        "--from-stdin", "token", cwd=clone, stdin=value,
    )  # fmt: skip
    lab.run("git", "add", "flux/secrets/develop", cwd=clone)
    lab.run("git", "commit", "--quiet", "--message", f"Rotate {number}", cwd=clone)
    started = time.monotonic()
    lab.run("git", "push", "--quiet", cwd=clone)
    await_line(watch, base64.b64encode(value.encode()).decode())
    return time.monotonic() - started


def await_line(watch: subprocess.Popen[str], wanted: str) -> None:
    """Return when the watch prints `wanted`; fail after a minute."""
    alarm = threading.Timer(60, watch.kill)
    alarm.start()
    for line in watch.stdout or ():
        if line.strip() == wanted:
            alarm.cancel()
            return
    raise AssertionError("the pushed value did not arrive within 60 s")


def measure_memory(lab: Lab) -> dict[str, float]:
    """Return the memory of the lab's containers, in MiB."""
    lines = run(
        [
            "docker",
            "stats",
            "--no-stream",
            "--format",
            "{{.Name}} {{.MemUsage}}",
            lab.node,
            lab.git_server,
        ]
    ).stdout.splitlines()
    units = {"KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}
    found = {}
    for line in lines:
        name, amount = line.split()[:2]
        found[name] = round(float(amount[:-3]) * units[amount[-3:]], 0)
    return found


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
