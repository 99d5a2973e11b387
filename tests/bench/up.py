"""A lab for one learner: made from nothing, compared with the same work by hand; a second run; and
daily work on the lab."""

from __future__ import annotations

import base64
import json
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sopslab.artifacts.catalog import load_catalog
from sopslab.config.job import free_port
from sopslab.config.naming import bridge_name
from sopslab.layout import NAMESPACE
from tests.bench.figures import spread
from tests.bench.processor import GIT_SERVER, NODE, Spent, measured, of_lab
from tests.bench.products import Product
from tests.bench.profile import Profile, Steps, median
from tests.cluster.hand_made import plain_configuration
from tests.cluster.lab import Lab, lab_name, run

PAIRS = 3
SECOND_RUNS = 3
PUSHES = 20
BY_HAND = Path(__file__).with_name("by_hand.sh")
SERVER = Path(__file__).with_name("lighttpd.conf")
# The name of a bridge, too, for which the kernel allows 15 characters.
HAND = bridge_name(lab_name("by-hand"))
_HANDS = {f"{HAND}-control-plane": NODE, f"{HAND}-git": GIT_SERVER}


def measure_up(folder: Path, products: Sequence[Product]) -> Iterator[dict[str, Any]]:
    """Yield, as parts of the report, what the stock commands and a lab from nothing take, in turn;
    then what each product takes on a lab that is up."""
    labs = {product: product.lab("bench", folder) for product in products}
    hands: list[Spent] = []
    ups: dict[Product, list[Spent]] = {product: [] for product in products}
    try:
        for number in range(PAIRS):
            hands.append(_round_by_hand(labs[products[0]], folder / f"hand-{number}"))
            for product, lab in labs.items():
                ups[product].append(_up_from_nothing(lab))
            yield from _against_hand(hands, ups)
        for product, lab in labs.items():
            with lab.made():
                first = statistics.median(one.seconds for one in ups[product])
                yield from _on_a_lab(product, lab, first)
    finally:
        remove_by_hand()


def _round_by_hand(lab: Lab, work: Path) -> Spent:
    remove_by_hand()
    spent = measured(lambda: by_hand(lab, work), _HANDS)
    remove_by_hand()
    print(f"by hand: {spent}", flush=True)
    return spent


def _up_from_nothing(lab: Lab) -> Spent:
    answers: list[dict[str, Any]] = []
    lab.remove()
    try:
        spent = measured(
            lambda: answers.append(lab.up()), of_lab(lab), lambda: steps_of(answers[-1])
        )
    finally:
        lab.remove()
    print(f"{lab.name}: {spent}", flush=True)
    return spent


def _against_hand(
    hands: Sequence[Spent], ups: Mapping[Product, Sequence[Spent]]
) -> Iterator[dict[str, Any]]:
    """Yield the ratios of `sopslab up` to the stock commands, the steps' seconds, and profiles."""
    for product, taken in ups.items():
        steps = [one.profile.steps for one in taken]
        yield product.figures(
            {
                "up_vs_by_hand": compared(list(zip(taken, hands, strict=True))),
                "steps": {
                    name: round(statistics.median(one[name] for one in steps), 2)
                    for name in steps[0]
                },
            }
        )
    runs = {product.name: median(one.profile for one in taken) for product, taken in ups.items()}
    yield beside("up", {**runs, "by hand": median(one.profile for one in hands)})


def _on_a_lab(product: Product, lab: Lab, first: float) -> Iterator[dict[str, Any]]:
    """Yield what is measured on a lab that is up.

    + first: the seconds of a first run
    """
    yield from _second(product, lab, first)
    yield product.figures({"push_to_secret": measure_push(lab, lab.folder)})
    yield product.figures({"memory_mib": measure_memory(lab)})
    yield product.figures({"doctor": measure_doctor(lab)})


def steps_of(answer: dict[str, Any]) -> Steps:
    """Return the steps of a run.

    + answer: what `--json` has printed
    """
    return [(step["name"], step["seconds"]) for step in answer["steps"]]


def beside(work: str, runs: dict[str, Profile]) -> dict[str, Any]:
    """Return profiles of the same work as a part of the report, by the names of their runs."""
    return {"profiles": {work: {name: profile.as_dict() for name, profile in runs.items()}}}


def compared(pairs: Sequence[tuple[Spent, Spent]]) -> dict[str, Any]:
    """Return what `up` and the stock commands took, and the ratio of each pair of them."""
    return {
        "processor_ratio": spread([up.processor / hand.processor for up, hand in pairs], 3),
        "ratio": spread([up.seconds / hand.seconds for up, hand in pairs], 3),
        "up_processor": spread([up.processor for up, _ in pairs]),
        "by_hand_processor": spread([hand.processor for _, hand in pairs]),
        "up": spread([up.seconds for up, _ in pairs]),
        "by_hand": spread([hand.seconds for _, hand in pairs]),
    }


def by_hand(lab: Lab, folder: Path) -> None:
    """Do the work of `sopslab up` with the stock commands."""
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
    for container in _HANDS:
        run(["docker", "rm", "--force", "--volumes", container], check=False)
    run(["docker", "network", "rm", HAND], check=False)
    rules = run(["iptables", "-w", "10", "-S", "DOCKER-USER"], check=False).stdout
    for rule in rules.splitlines():
        if f"-i {HAND} " in rule:
            run(["iptables", "-w", "10", "-D", *rule.split()[1:]])


def _second(product: Product, lab: Lab, first: float) -> Iterator[dict[str, Any]]:
    """Yield what further runs on a lab that is up take, and the number of their changes.

    + first: the seconds of a first run
    """
    answers: list[dict[str, Any]] = []
    # No containers: what the cluster does by itself meanwhile is not work of the run.
    taken = [
        measured(lambda: answers.append(lab.up()), {}, lambda: steps_of(answers[-1]))
        for _ in range(SECOND_RUNS)
    ]
    yield product.figures(
        {
            "second_up": {
                "processor": spread([one.processor for one in taken], 2),
                "ratio": spread([one.seconds / first for one in taken], 3),
                "seconds": spread([one.seconds for one in taken], 2),
                "changed": sum(answer["changed"] for answer in answers),
            }
        }
    )
    yield beside("second_up", {product.name: median(one.profile for one in taken)})


def measure_doctor(lab: Lab) -> dict[str, float]:
    """Return the seconds that the doctor takes for a healthy lab, and for a lab without a key."""
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
    """Return once the watch prints `wanted`; fail after a minute."""
    alarm = threading.Timer(60, watch.kill)
    alarm.start()
    for line in watch.stdout or ():
        if line.strip() == wanted:
            alarm.cancel()
            return
    raise AssertionError("the pushed value did not arrive within 60 s")


def measure_memory(lab: Lab) -> dict[str, float]:
    """Return the memory of the lab's containers, in MiB."""
    form = "{{.Name}} {{.MemUsage}}"
    words = ["docker", "stats", "--no-stream", "--format", form, lab.node, lab.git_server]
    units = {"KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}
    found = {}
    for line in run(words).stdout.splitlines():
        name, amount = line.split()[:2]
        found[name] = round(float(amount[:-3]) * units[amount[-3:]], 0)
    return found


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started
