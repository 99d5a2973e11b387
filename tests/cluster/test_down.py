"""`sopslab down`: only what cannot be made anew is left of the lab, and nothing else goes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sopslab.artifacts.catalog import load_catalog
from sopslab.config.naming import bridge_name
from tests.cluster.interruption import Run
from tests.cluster.lab import Lab, as_root, lab_name, run, wait_until

FOREIGN = lab_name("foreign")
INTERFACE = bridge_name(FOREIGN)


def remains(lab: Lab) -> list[str]:
    """Return everything that a lab has outside its folder, and its kubeconfig."""
    listing = run(as_root("iptables-save")).stdout.splitlines()
    found = [line for line in listing if bridge_name(lab.name) in line]
    own = {lab.node, lab.git_server, lab.network}
    for kind, names in (("container", "{{.Names}}"), ("network", "{{.Name}}")):
        more = ["--all"] if kind == "container" else []
        listed = run(["docker", kind, "ls", *more, "--format", names]).stdout.split()
        found += [f"{kind} {name}" for name in listed if name in own]
    if Path("/sys/class/net", bridge_name(lab.name)).exists():
        found.append("the bridge")
    top = Path(lab.settings.lab_dir)
    found += [str(path) for path in top.glob("*kubeconfig*")]
    found += [str(path) for path in top.glob(".kind.*")]
    return found


def volumes(lab: Lab) -> set[str]:
    """Return the volumes of the lab's containers."""
    mounts = [
        mount
        for container in (lab.node, lab.git_server)
        for mount in json.loads(run(["docker", "inspect", container]).stdout)[0]["Mounts"]
    ]
    return {mount["Name"] for mount in mounts if mount["Type"] == "volume"}


def all_volumes() -> set[str]:
    return set(run(["docker", "volume", "ls", "--quiet"]).stdout.split())


@pytest.fixture
def foreigners(lab: Lab) -> Iterator[None]:
    """A kind cluster's container, a network and a firewall rule of somebody else."""
    image = load_catalog(lab.settings.catalog).git_tag
    rule = ["DOCKER-USER", "-i", INTERFACE, "-j", "RETURN"]
    run(["docker", "network", "create", FOREIGN])
    run(
        [
            "docker", "run", "--detach", "--name", FOREIGN, "--network", FOREIGN,
            "--label", f"io.x-k8s.kind.cluster={FOREIGN}", "--volume", f"{FOREIGN}:/data",
            "--entrypoint", "sleep", image, "infinity",
        ]
    )  # fmt: skip
    run(as_root("iptables", "-w", "10", "-I", *rule))
    yield
    run(as_root("iptables", "-w", "10", "-D", *rule))
    run(["docker", "rm", "--force", "--volumes", FOREIGN])
    run(["docker", "network", "rm", FOREIGN])
    run(["docker", "volume", "rm", FOREIGN])


def foreign_state() -> list[str]:
    text = "{{.Id}} {{.State.StartedAt}}"
    return [
        run(["docker", "inspect", "--format", text, FOREIGN]).stdout,
        run(["docker", "network", "inspect", "--format", "{{.Id}}", FOREIGN]).stdout,
        run(["docker", "volume", "inspect", "--format", "{{.CreatedAt}}", FOREIGN]).stdout,
        *(
            line
            for line in run(as_root("iptables", "-w", "10", "-S", "DOCKER-USER")).stdout.split("\n")
            if f"-i {INTERFACE} " in line
        ),
    ]


@pytest.mark.restores
def test_down_leaves_nothing_and_up_brings_the_same_lab_back(
    lab: Lab, foreigners: None, tmp_path: Path
) -> None:
    foreign, own = foreign_state(), volumes(lab)
    recipients = [lab.recipient(), lab.recipient("instructor")]
    head = lab.head()
    canary = lab.kubectl(
        "-n", "develop", "get", "secret", "lab-canary", "-o", "jsonpath={.data.value}"
    )
    assert own and own <= all_volumes()

    answer = json.loads(lab.sopslab("down", "--json").stdout)
    assert answer["ok"] and answer["changed"] > 0
    assert remains(lab) == []
    assert own & all_volumes() == set()
    assert foreign_state() == foreign
    plain = [
        path
        for path in Path(lab.settings.lab_dir).rglob("*")
        if path.is_file()
        and any(form in path.read_bytes() for form in (canary.encode(), base64.b64decode(canary)))
    ]
    assert canary and plain == []

    answer = json.loads(lab.sopslab("down", "--json").stdout)
    assert answer["ok"] and answer["changed"] == 0

    lab.up()
    assert [lab.recipient(), lab.recipient("instructor")] == recipients
    assert lab.head() == head
    expected, live = lab.canary_digests(tmp_path)
    assert live == expected
    assert foreign_state() == foreign


def test_down_where_there_never_was_a_lab(tmp_path: Path) -> None:
    nothing = Lab(lab_name("nothing"), tmp_path / "nothing", {"root": str(tmp_path / "root")})
    answer = json.loads(nothing.sopslab("down", "--json").stdout)
    assert answer["ok"] and answer["changed"] == 0
    assert remains(nothing) == []
    assert json.loads(nothing.sopslab("down", "--json", "--purge", "--yes").stdout)["ok"]
    assert not Path(nothing.settings.root).exists()


@pytest.mark.soak
@pytest.mark.parametrize("group", [True, False], ids=["with its children", "alone"])
def test_down_on_a_lab_whose_run_was_killed_while_kind_worked(tmp_path: Path, group: bool) -> None:
    half = Lab(lab_name("half"), tmp_path / "half", {})
    half.remove()
    try:
        with Run(half, tmp_path / "output") as attempt:
            operation = attempt.until_start(lambda name: "Begin the kind cluster" in name)
            assert operation is not None, attempt.output.read_text()[-3000:]
            wait_until(lambda: runs(half.node), "kind has started the node")
            assert not attempt.ends_within(0)
            attempt.kill(group=group)
        before = volumes_of(half.node)
        assert json.loads(half.sopslab("down", "--json").stdout)["ok"]
        assert remains(half) == []
        assert before & all_volumes() == set()
    finally:
        half.remove()


def runs(container: str) -> bool:
    text = "{{.State.Running}}"
    shown = run(["docker", "inspect", "--format", text, container], check=False)
    return shown.stdout.strip() == "true"


def volumes_of(container: str) -> set[str]:
    mounts = json.loads(run(["docker", "inspect", container]).stdout)[0]["Mounts"]
    return {mount["Name"] for mount in mounts if mount["Type"] == "volume"}
