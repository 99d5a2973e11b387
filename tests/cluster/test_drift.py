"""Drift: the next `up` repairs it and names it in its answer, and changes nothing else."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from sopslab.errors import Exit
from sopslab.layout import CANARY_PATH, NAMESPACE
from tests.cluster.lab import Lab, as_root, run, wait_until
from tests.marks import soak

# Each test runs the `up` that repairs. Anything left undone would be a change too many in the next
# test.
pytestmark = pytest.mark.restores

# What a repair says: a part of the operation's name, and a part of its explanation.
Repair = tuple[str, str]

# Objects in a push that takes Flux seconds.
MANY = 400
DELETED = (("crd", "kustomizations.kustomize.toolkit.fluxcd.io"), ("namespace", "flux-system"))

KEY: Repair = ("Give Flux its Secrets", "")
CONTROLLERS = "Apply the controllers"
SYNC = "Apply the sources and Kustomizations"
CANARY = "Wait for Flux to decrypt lab-canary"


def assert_repairs(lab: Lab, *expected: Repair) -> None:
    """Run `up` and check that it makes all expected changes and no others."""
    answer = lab.up()
    changes = lab.changes(answer)
    assert answer["changed"] == len(changes) == len(expected), changes
    for change, (operation, explanation) in zip(changes, expected, strict=True):
        assert operation in change and explanation in change, changes


def repairs(lab: Lab) -> list[str]:
    """Run `up` and return its changes without the wait for the canary: Flux may have brought that
    back before `up` looks for it."""
    answer = lab.up()
    changes = lab.changes(answer)
    assert answer["changed"] == len(changes), changes
    return [change for change in changes if CANARY not in change]


def state_of(container: str) -> tuple[str, str]:
    """Return the id and the state of a container."""
    text = "{{.Id}} {{.State.Status}}"
    identity, state = run(["docker", "inspect", "--format", text, container]).stdout.split()
    return identity, state


def address_of(lab: Lab, container: str) -> IPv4Address:
    """Return the address of a container in the lab's network, as Docker has it."""
    text = f'{{{{(index .NetworkSettings.Networks "{lab.network}").IPAddress}}}}'
    return IPv4Address(run(["docker", "inspect", "--format", text, container]).stdout.strip())


@contextmanager
def suspended(lab: Lab, *kustomizations: str) -> Iterator[None]:
    """Keep Flux from repairing what is broken in the block: it would be faster than `up`."""

    def suspend(value: str) -> None:
        for name in kustomizations:
            lab.kubectl(
                "-n", "flux-system", "patch", "kustomization", name, "--type=merge",
                # Flux removes what kubectl sets by its own name from the objects that it applies.
                "--field-manager=flux",
                f"--patch={{\"spec\": {{\"suspend\": {value}}}}}",
            )  # fmt: skip

    def silent(*question: str) -> bool:
        return not lab.kubectl(*question)

    try:
        suspend("true")
        # Flux goes on with a reconciliation that has begun.
        at_work = '{.status.conditions[?(@.type=="Reconciling")].status}'
        for name in kustomizations:
            ask = ("-n", "flux-system", "get", "kustomization", name, "-o", f"jsonpath={at_work}")
            wait_until(partial(silent, *ask), f"Flux is done with {name}")
        yield
    finally:
        suspend("false")


def arguments_of(lab: Lab, controller: str) -> list[str]:
    text = lab.kubectl(
        "-n", "flux-system", "get", "deployment", controller,
        "-o", "jsonpath={.spec.template.spec.containers[0].args}",
    )  # fmt: skip
    return list(json.loads(text))


def set_arguments(lab: Lab, controller: str, arguments: list[str]) -> None:
    operation = {
        "op": "replace",
        "path": "/spec/template/spec/containers/0/args",
        "value": arguments,
    }
    lab.kubectl(
        "-n", "flux-system", "patch", "deployment", controller, "--type=json",
        f"--patch={json.dumps([operation])}",
    )  # fmt: skip


@pytest.mark.soak
def test_a_deleted_decryption_key(lab: Lab) -> None:
    lab.kubectl("-n", "flux-system", "delete", "secret", "sops-age")
    assert_repairs(lab, KEY)
    assert lab.cluster_recipient() == lab.recipient()
    lab.kubectl(
        "-n", "flux-system", "wait", "--for=condition=Ready", "kustomization/secrets-develop",
        "--timeout=30s",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "damage", "explanation"),
    [
        ("keys.txt", "none", "it lacks the entry age.agekey (it has: keys.txt)"),
        soak("age.agekey", "empty", "its entry age.agekey holds no valid age identity"),
        soak("age.agekey", "one character", "its entry age.agekey holds no valid age identity"),
    ],
)
def test_an_unusable_decryption_key(lab: Lab, entry: str, damage: str, explanation: str) -> None:
    identity = Path(f"{lab.settings.keys_dir}/{lab.settings.learner.id}.agekey").read_text()
    head, begin, tail = identity.rpartition("AGE-SECRET-KEY-1")
    changed = f"{head}{begin}{'Q' if tail[0] != 'Q' else 'P'}{tail[1:]}"
    value = {"none": identity, "empty": "", "one character": changed}[damage]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "sops-age",
            "namespace": "flux-system",
            "labels": {"reconcile.fluxcd.io/watch": "Enabled"},
        },
        "data": {entry: base64.b64encode(value.encode()).decode()},
    }
    lab.run("kubectl", "replace", "--filename=-", stdin=json.dumps(secret))
    assert_repairs(lab, (KEY[0], explanation))
    assert lab.cluster_recipient() == lab.recipient()
    found = json.loads(lab.kubectl("-n", "flux-system", "get", "secret", "sops-age", "-ojson"))
    assert list(found["data"]) == ["age.agekey"]


@pytest.mark.soak
def test_a_lockdown_flag_that_was_taken_off(lab: Lab) -> None:
    flag = "--no-remote-bases=true"
    before = arguments_of(lab, "kustomize-controller")
    assert flag in before
    with suspended(lab, "flux-system"):
        set_arguments(lab, "kustomize-controller", [item for item in before if item != flag])
        assert_repairs(lab, (CONTROLLERS, "Deployment.flux-system.kustomize-controller"))
        assert arguments_of(lab, "kustomize-controller") == before


@pytest.mark.soak
def test_a_controller_that_crashes_in_a_loop(lab: Lab) -> None:
    before = arguments_of(lab, "kustomize-controller")

    def crashed() -> bool:
        counts = lab.kubectl(
            "-n", "flux-system", "get", "pods", "-l", "app=kustomize-controller",
            "-o", "jsonpath={.items[*].status.containerStatuses[*].restartCount}",
        ).split()  # fmt: skip
        return any(count != "0" for count in counts)

    with suspended(lab, "flux-system"):
        set_arguments(lab, "kustomize-controller", [*before, "--no-such-flag"])
        wait_until(crashed, "the controller crashes over a flag that it does not know", 60)
        assert_repairs(lab, (CONTROLLERS, "Deployment.flux-system.kustomize-controller"))
        lab.kubectl(
            "-n", "flux-system", "rollout", "status", "deployment/kustomize-controller",
            "--timeout=60s",
        )  # fmt: skip
        assert arguments_of(lab, "kustomize-controller") == before


def controller_killed(lab: Lab) -> bool:
    """Kill kustomize-controller, and return whether it was there."""
    return in_node(lab, "pkill", "-9", "-f", "kustomize-controller").returncode == 0


def memory_taken(lab: Lab) -> bool:
    """Limit kustomize-controller to the memory that it has until that is too little, and return
    whether it was there.

    Its next container has the limit of its Deployment again.
    """
    found = in_node(lab, "pgrep", "-f", "kustomize-controller").stdout.split()
    groups = found and in_node(lab, "cat", f"/proc/{found[0]}/cgroup").stdout.splitlines()
    if not groups:
        return False
    by_controller = dict(line.split(":", 2)[1:] for line in groups)
    if "memory" in by_controller:
        folder = f"/sys/fs/cgroup/memory{by_controller['memory']}"
        used, limit = f"{folder}/memory.usage_in_bytes", f"{folder}/memory.limit_in_bytes"
    else:
        folder = f"/sys/fs/cgroup{by_controller['']}"
        used, limit = f"{folder}/memory.current", f"{folder}/memory.max"

    def is_gone() -> bool:
        # What the kernel and the controller can do without, they give back first.
        in_node(lab, "cp", used, limit)
        return in_node(lab, "test", "-d", folder).returncode != 0

    wait_until(is_gone, "the controller runs out of memory")
    return True


def in_node(lab: Lab, *command: str) -> CompletedProcess[str]:
    return run(["docker", "exec", lab.node, *command], check=False)


def last_end(lab: Lab) -> str:
    """Return why the last container of kustomize-controller ended."""
    reason = "{.items[*].status.containerStatuses[*].lastState.terminated.reason}"
    pods = ("get", "pods", "-n", "flux-system", "-l", "app=kustomize-controller")
    return lab.kubectl(*pods, "-o", f"jsonpath={reason}")


def add_many(clone: Path) -> None:
    """Add more objects to the environment than Flux applies in a moment."""
    objects = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"many-{number}", "namespace": NAMESPACE},
        }
        for number in range(MANY)
    ]
    folder = (clone / CANARY_PATH).parent
    (folder / "many.yaml").write_text(yaml.safe_dump_all(objects))
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())
    listed["resources"].append("many.yaml")
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(listed))


def applied(lab: Lab) -> int:
    """Return how many of these objects there are."""
    return lab.kubectl("-n", NAMESPACE, "get", "configmaps", "-o", "name").count("/many-")


@pytest.mark.soak
@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize(
    ("end", "reason"), [(controller_killed, "Error"), (memory_taken, "OOMKilled")]
)
def test_a_controller_that_ends_while_it_applies(
    lab: Lab, tmp_path: Path, end: Callable[[Lab], bool], reason: str
) -> None:
    # A new pod: each time that a container ends, also in another test, its next start takes longer.
    within = ("--namespace", "flux-system")
    lab.kubectl("delete", "pod", *within, "--selector=app=kustomize-controller")
    lab.kubectl("rollout", "status", *within, "deployment/kustomize-controller", "--timeout=60s")
    pushed = lab.push(tmp_path, add_many)
    wait_until(lambda: applied(lab) > 0, "Flux applies the first of them")
    # End it amid its work, and again when it is back at work.
    wait_until(partial(end, lab), "the controller is at work")
    # Want of memory takes its time, and may come after the last of them.
    assert end is memory_taken or applied(lab) < MANY, "it was done before it ended"
    wait_until(partial(end, lab), "the controller is back at work")
    wait_until(lambda: last_end(lab) == reason, f"the controller ends by {reason}", 60)
    wait_until(lambda: lab.flux_applied(pushed), "Flux applies what was pushed", 120)
    expected, live = lab.canary_digests(tmp_path)
    assert live == expected
    wait_until(lambda: lab.up()["changed"] == 0, "nothing is left to do", 60)


@pytest.mark.soak
def test_flux_half_installed(lab: Lab) -> None:
    kind = "kustomizations.kustomize.toolkit.fluxcd.io"
    # When a suspended Kustomization is deleted, its objects stay.
    with suspended(lab, "flux-system", "secrets-develop"):
        lab.kubectl("delete", "crd", kind, "--timeout=60s")
        installed, synced = repairs(lab)
    assert CONTROLLERS in installed and kind in installed and SYNC in synced
    assert lab.flux_applied(lab.head())


@pytest.mark.soak
@pytest.mark.parametrize("deleted", DELETED)
def test_what_waits_for_a_controller_that_is_gone_itself(
    lab: Lab, tmp_path: Path, deleted: tuple[str, str]
) -> None:
    lab.kubectl(
        "-n", "flux-system", "scale", "deployment", "--all", "--replicas=0", "--timeout=60s"
    )
    wait_until(
        lambda: not lab.kubectl("-n", "flux-system", "get", "pods", "-o", "name"),
        "the controllers are gone",
    )
    lab.kubectl("delete", *deleted, "--wait=false")
    answer = lab.up()
    kind = {"crd": "kind", "namespace": "namespace"}[deleted[0]]
    told = f"the {kind} {deleted[1]} is being deleted"
    assert any(told in change for change in lab.changes(answer)), lab.changes(answer)
    assert lab.up()["changed"] == 0
    # Flux has not removed what it had applied.
    expected, live = lab.canary_digests(tmp_path)
    assert live == expected


@pytest.mark.soak
def test_a_deleted_namespace(lab: Lab, tmp_path: Path) -> None:
    lab.kubectl("delete", "namespace", "develop", "--timeout=60s")
    (change,) = repairs(lab)
    assert SYNC in change and "develop" in change
    expected, live = lab.canary_digests(tmp_path)
    assert live == expected


@pytest.mark.soak
def test_a_namespace_that_does_not_end_is_explained_and_left_alone(
    lab: Lab, tmp_path: Path
) -> None:
    held = ("-n", "flux-system", "configmap", "held")
    lab.kubectl("-n", "flux-system", "create", "configmap", "held")
    finalizers = '{"metadata": {"finalizers": ["example.org/hold"]}}'
    lab.kubectl("patch", *held, "--type=merge", "-p", finalizers)
    lab.kubectl("delete", "namespace", "flux-system", "--wait=false")
    answer = lab.up(check=False)
    (problem,) = answer["problems"]
    assert answer["code"] == Exit.FLUX
    assert "the namespace flux-system is being deleted, and after 60 s it is not gone" in problem
    assert "example.org/hold" in problem
    # The finalizer is not ours to remove.
    assert "example.org/hold" in lab.kubectl("get", *held, "-o", "jsonpath={.metadata.finalizers}")

    # What the problem proposes helps.
    lab.sopslab("down")
    lab.up()
    expected, live = lab.canary_digests(tmp_path)
    assert live == expected
    assert lab.up()["changed"] == 0


def test_another_canary_while_flux_is_suspended_and_its_line_is_written_differently(
    lab: Lab, tmp_path: Path
) -> None:
    head, clone = lab.head(), lab.learner(tmp_path)
    listing = clone / "flux/secrets/develop/kustomization.yaml"
    text = listing.read_text()
    assert "- lab-canary.yaml\n" in text
    listing.write_text(text.replace("- lab-canary.yaml\n", '- "lab-canary.yaml" # mine\n'))
    lab.run("git", "commit", "--quiet", "--all", "--message", "Write it differently", cwd=clone)
    lab.run("git", "push", "--quiet", cwd=clone)
    pushed = lab.head()
    wait_until(lambda: lab.flux_applied(pushed), "Flux applies the line")
    for kind, name in (
        ("gitrepository", lab.settings.learner.id),
        ("kustomization", "secrets-develop"),
    ):
        lab.kubectl(
            "-n", "flux-system", "patch", kind, name, "--type=merge",
            "-p", '{"spec":{"suspend":true}}',
        )  # fmt: skip
    lab.kubectl(
        "-n", "develop", "patch", "secret", "lab-canary", "--type=merge",
        "-p", '{"stringData": {"value": "another"}}',
    )  # fmt: skip
    try:
        (resumed,) = repairs(lab)
        assert "Resume what was suspended" in resumed and "secrets-develop was suspended" in resumed
        shutil.rmtree(clone)
        expected, live = lab.canary_digests(tmp_path)
        assert live == expected
    finally:
        lab.reset_repository(head)
        lab.up()


@pytest.mark.soak
def test_a_stopped_node(lab: Lab, tmp_path: Path) -> None:
    before, _ = state_of(lab.node)
    run(["docker", "stop", "--time", "5", lab.node])
    assert_repairs(lab, ("Start a node that was stopped", "was exited"))
    assert state_of(lab.node) == (before, "running")
    expected, live = lab.canary_digests(tmp_path)
    assert live == expected


@pytest.mark.soak
@pytest.mark.usefixtures("put_back")
def test_a_node_that_comes_back_at_another_address(lab: Lab, tmp_path: Path) -> None:
    before, address = state_of(lab.node)[0], address_of(lab, lab.node)
    both = [lab.node, lab.git_server]
    higher = max(both, key=partial(address_of, lab))
    run(["docker", "stop", "--time", "5", *both])
    # As after a restart of the machine: the container that starts first gets the lower address.
    run(["docker", "start", higher])
    assert lab.up()["changed"] > 0
    assert state_of(lab.node) == (before, "running")
    assert address_of(lab, lab.node) != address
    # A push arrives, so the node reaches the Git server.
    head = lab.push_notes(tmp_path)
    wait_until(partial(lab.flux_applied, head), "Flux has applied what was pushed", 90)
    assert lab.up()["changed"] == 0


@pytest.mark.soak
def test_a_paused_node(lab: Lab) -> None:
    before, _ = state_of(lab.node)
    run(["docker", "pause", lab.node])
    assert_repairs(lab, ("Start a node that was stopped", "was paused"))
    assert state_of(lab.node) == (before, "running")


@pytest.mark.soak
@pytest.mark.parametrize("how", [["stop", "--time", "2"], ["pause"]], ids=" ".join)
def test_a_git_server_that_does_not_run(lab: Lab, how: list[str]) -> None:
    run(["docker", *how, lab.git_server])
    assert_repairs(lab, (f"Serve at {lab.settings.git_base_url}", "was stopped"))
    assert state_of(lab.git_server)[1] == "running"


@pytest.mark.soak
def test_a_removed_git_server(lab: Lab) -> None:
    head = lab.head()
    run(["docker", "rm", "--force", "--volumes", lab.git_server])
    assert_repairs(lab, (f"Serve at {lab.settings.git_base_url}", ""))
    assert lab.head() == head


@pytest.mark.soak
def test_a_removed_firewall_rule(lab: Lab) -> None:
    before = lab.rules()
    for reject in [rule for rule in before if "REJECT" in rule]:
        run(as_root("iptables", "-w", "10", "-D", *reject.split()[1:]))
    assert len(lab.rules()) == len(before) - 2
    assert_repairs(lab, ("Keep the network's traffic on this machine", ""))
    assert lab.rules() == before


@pytest.mark.soak
def test_a_deleted_kubeconfig(lab: Lab) -> None:
    node = state_of(lab.node)
    Path(lab.settings.lab_kubeconfig).unlink()
    assert_repairs(lab, ("Start a node that was stopped", "the kubeconfig was missing"))
    assert state_of(lab.node) == node
    assert lab.kubectl("get", "nodes", "--output=name").strip() == f"node/{lab.node}"


@pytest.mark.soak
def test_a_kubeconfig_that_leads_to_a_wrong_port(lab: Lab) -> None:
    node = state_of(lab.node)
    before = Path(lab.settings.lab_kubeconfig).read_text()
    lab.run(
        "kubectl", "config", "set-cluster", lab.settings.lab_context, "--server=https://127.0.0.1:9"
    )
    assert_repairs(lab, ("Start a node that was stopped", "the kubeconfig led elsewhere"))
    assert state_of(lab.node) == node
    assert Path(lab.settings.lab_kubeconfig).read_text() == before


@pytest.mark.soak
def test_a_deleted_clone(lab: Lab) -> None:
    work = Path(lab.settings.work_dir)
    shutil.rmtree(work)
    assert_repairs(lab, ("Clone the learner's repository", "missing: clone, hooks"))
    assert run(["git", "rev-parse", "HEAD"], cwd=work).stdout.strip() == lab.head()


@pytest.mark.soak
def test_a_deleted_commit_hook(lab: Lab) -> None:
    hook = Path(lab.settings.work_dir) / ".git/hooks/pre-commit"
    before = hook.read_text()
    hook.unlink()
    assert_repairs(lab, ("Clone the learner's repository", "missing: hooks"))
    assert hook.read_text() == before and hook.stat().st_mode & 0o111


@pytest.mark.soak
def test_several_at_once_are_all_named(lab: Lab) -> None:
    (Path(lab.settings.work_dir) / ".git/hooks/pre-commit").unlink()
    lab.kubectl("-n", "flux-system", "delete", "secret", "sops-age", "receiver-token")
    run(["docker", "kill", lab.git_server])
    assert_repairs(
        lab,
        (f"Serve at {lab.settings.git_base_url}", "was stopped"),
        ("Clone the learner's repository", "missing: hooks"),
        KEY,
    )
