"""How learners log in to a cluster that the lab did not make: with certificates if the cluster
signs them, else with tokens, as on EKS, which approves requests and never signs them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from sopslab.config.naming import seat_namespace, seat_system_namespace
from sopslab.config.places import Lab as Machine
from sopslab.lab.act import access, existing, issuers, kubeconfigs
from sopslab.lab.observe.access import credentials, seat_access
from sopslab.lab.observe.issuers import known_issuer
from sopslab.lab.observe.users import seat_users
from sopslab.layout import PLATFORM
from sopslab.model.access import Issuer
from tests.cluster.hand_made import CONTROL_PLANE, hand_made_cluster, users_kubectl
from tests.cluster.lab import Lab, lab_name, run, wait_until

pytestmark = [pytest.mark.soak, pytest.mark.hand_made]

SEATS = ("ada", "bob")
FIRST, SECOND = "a" * 14, "b" * 14
GRANTED = timedelta(hours=24)
_MANIFESTS = "/etc/kubernetes/manifests"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of provider `existing`, with its kubeconfig, and a cluster with the seats' namespaces
    and roles."""
    data = {
        "git_url": "https://git.invalid/class", "git_username": "class", "git_password": "none",
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("issuers")
    with hand_made_cluster(lab_name("issuers"), folder, data) as lab:
        existing.take_on(lab.settings.for_machine, str(lab.data["kubeconfig"]))
        for seat in SEATS:
            for name in (seat_namespace(seat), seat_system_namespace(seat)):
                owner(lab, "create", "namespace", name)
        roles = PLATFORM / "clusters" / "lab" / "classroom" / "roles.yaml"
        owner(lab, "create", "--filename", str(roles))
        yield lab


@pytest.fixture(scope="module")
def signing(cluster: Lab) -> Lab:
    """The same cluster, after the lab has found that it signs certificates."""
    issuers.choose(cluster.settings.for_machine, 10)
    return cluster


@pytest.fixture(scope="module")
def like_eks(cluster: Lab) -> Lab:
    """The same cluster without a signer, and with tokens for a day at most.

    The lab has chosen anew how learners log in, and the seats have their first access that way.
    """
    _change("kube-controller-manager", r"s/--controllers=\*/--controllers=*,-csrsigning/")
    _change(
        "kube-apiserver",
        r"s/^\(  *\)- kube-apiserver$/&\n\1- --service-account-max-token-expiration=24h/",
    )
    ready = ("get", "--raw", "/readyz")
    controllers = ("--namespace", "kube-system", "get", "pods", "--output=json", "--selector")
    for flag, component in (
        ("--service-account-max-token-expiration=24h", "kube-apiserver"),
        ("--controllers=*,-csrsigning,bootstrapsigner,tokencleaner", "kube-controller-manager"),
    ):

        def restarted(flag: str = flag, component: str = component) -> bool:
            said = run(
                [*users_kubectl(cluster), *controllers, f"component={component}"],
                env=cluster.environment,
                check=False,
            )
            pods = json.loads(said.stdout)["items"] if said.returncode == 0 else []
            return any(_runs(pod, flag) for pod in pods)

        wait_until(restarted, f"{component} is back with {flag}", 120)
    assert owner(cluster, *ready) == "ok"
    machine = cluster.settings.for_machine
    Path(machine.issuer_file).unlink(missing_ok=True)
    begun = time.monotonic()
    issuers.choose(machine, 10)
    assert time.monotonic() - begun < 20, "who is asked and does not answer is waited for 10 s"
    access.begin_generations(machine, dict.fromkeys(SEATS, FIRST))
    issue(cluster)
    return cluster


def _change(component: str, how: str) -> None:
    """Change a component of the control plane by a line of sed; the kubelet starts it anew."""
    # The kubelet must not read a half-written file.
    text = (
        f"sed '{how}' {_MANIFESTS}/{component}.yaml >/tmp/changed.yaml"
        f" && mv /tmp/changed.yaml {_MANIFESTS}/{component}.yaml"
    )
    run(["docker", "exec", CONTROL_PLANE, "sh", "-euc", text])


def _runs(pod: dict[str, Any], flag: str) -> bool:
    (container,) = pod["spec"]["containers"]
    ready = any(one["ready"] for one in pod["status"].get("containerStatuses") or ())
    return ready and flag in container["command"]


def owner(lab: Lab, *arguments: str, stdin: str | None = None) -> str:
    """Return what kubectl prints for the cluster's owner."""
    return run([*users_kubectl(lab), *arguments], env=lab.environment, stdin=stdin).stdout


def issue(lab: Lab) -> None:
    """Give each seat access, as a run does, and bind its user as Flux does."""
    machine = lab.settings.for_machine
    kubeconfigs.issue(machine, seat_users(machine), 30)
    failed = Path(machine.class_dir, "failed")
    assert [path.read_text() for path in failed.iterdir()] == []
    bind(lab)


def bind(lab: Lab) -> None:
    """Bind the seats' present users with a class's binding, whose subject is a `User`."""
    documents = (PLATFORM / "tenants" / "base" / "rights.yaml").read_text().split("\n---\n")
    (learner,) = [one for one in documents if yaml.safe_load(one)["metadata"]["name"] == "learner"]
    for seat, user in seat_users(lab.settings.for_machine).items():
        text = learner.replace("${seat}", seat).replace("${user}", user)
        owner(lab, "apply", "--filename", "-", stdin=text)


def as_learner(lab: Lab, kubeconfig: Path, *arguments: str) -> tuple[int, str, str]:
    """Return the exit code and the output of kubectl with a learner's kubeconfig."""
    command = ["kubectl", "--kubeconfig", str(kubeconfig), *arguments]
    done = run(command, env=lab.environment, check=False)
    return done.returncode, done.stdout, done.stderr


def kubeconfig_of(machine: Machine, seat: str) -> Path:
    return Path(machine.seat_dir(seat), "kubeconfig")


def requests(lab: Lab) -> list[str]:
    """Return the requests for certificates of learners that the cluster still has."""
    selector = "--selector=sops-lab/seat"
    return owner(lab, "get", "certificatesigningrequests", selector, "--output=name").split()


def accounts(lab: Lab, seat: str) -> list[str]:
    """Return the ServiceAccounts in a seat's system namespace, except the namespace's default."""
    names = owner(
        lab, "--namespace", seat_system_namespace(seat), "get", "serviceaccounts", "--output=name"
    ).split()
    return [name.removeprefix("serviceaccount/") for name in names if "default" not in name]


def test_a_cluster_that_signs_is_known_by_a_signature_that_it_takes(signing: Lab) -> None:
    machine = signing.settings.for_machine
    assert known_issuer(machine) is Issuer.CERTIFICATES
    assert requests(signing) == []
    access.begin_generations(machine, dict.fromkeys(SEATS, FIRST))
    issue(signing)
    code, said, _ = as_learner(signing, kubeconfig_of(machine, "ada"), "auth", "whoami", "-oyaml")
    assert code == 0
    assert yaml.safe_load(said)["status"]["userInfo"]["username"] == f"sops-lab:ada:{FIRST}"
    assert as_learner(signing, kubeconfig_of(machine, "ada"), "get", "pods")[0] == 0


def test_a_cluster_that_approves_and_never_signs_has_tokens(like_eks: Lab) -> None:
    machine = like_eks.settings.for_machine
    assert known_issuer(machine) is Issuer.TOKENS
    assert seat_access(machine, list(SEATS)) == dict.fromkeys(SEATS, "current")
    assert requests(like_eks) == []


def test_a_token_opens_the_learners_own_namespace_and_no_other(like_eks: Lab) -> None:
    machine = like_eks.settings.for_machine
    kubeconfig = kubeconfig_of(machine, "ada")
    code, said, _ = as_learner(like_eks, kubeconfig, "auth", "whoami", "--output=yaml")
    assert code == 0
    who = yaml.safe_load(said)["status"]["userInfo"]
    assert who["username"] == f"system:serviceaccount:lab-ada-sys:learner-{FIRST}"
    assert set(who["groups"]) == {
        "system:serviceaccounts", "system:serviceaccounts:lab-ada-sys", "system:authenticated",
    }  # fmt: skip
    assert as_learner(like_eks, kubeconfig, "get", "pods,secrets,configmaps")[0] == 0
    for namespace in ("bob-develop", "lab-ada-sys", "lab-bob-sys", "kube-system", "default"):
        code, _, said = as_learner(like_eks, kubeconfig, "--namespace", namespace, "get", "pods")
        assert code != 0 and "(Forbidden)" in said, namespace
    code, _, said = as_learner(
        like_eks, kubeconfig, "--namespace", "lab-ada-sys", "create", "token", f"learner-{FIRST}"
    )
    assert code != 0 and "is forbidden" in said, "who has a token could make another one"


def test_what_the_cluster_grants_is_on_record(like_eks: Lab) -> None:
    held = credentials(like_eks.settings.for_machine, SEATS)
    for one in held.values():
        assert one.end - one.begin == GRANTED
        assert timedelta(0) <= datetime.now(UTC) - one.begin < timedelta(minutes=10)
        assert one.end - one.renewal == GRANTED / 3


def test_each_learner_has_one_account(like_eks: Lab) -> None:
    for seat in SEATS:
        assert accounts(like_eks, seat) == [f"learner-{FIRST}"]


def test_a_token_whose_account_is_gone_is_stale_and_is_replaced(like_eks: Lab) -> None:
    machine = like_eks.settings.for_machine
    owner(like_eks, "--namespace", "lab-bob-sys", "delete", "serviceaccount", f"learner-{FIRST}")
    states = seat_access(machine, list(SEATS))
    assert states == {"ada": "current", "bob": "stale: its ServiceAccount is gone"}
    before = kubeconfig_of(machine, "ada").read_text()
    kubeconfigs.issue(machine, {"bob": seat_users(machine)["bob"]}, 30)
    assert seat_access(machine, list(SEATS)) == dict.fromkeys(SEATS, "current")
    assert as_learner(like_eks, kubeconfig_of(machine, "bob"), "get", "pods")[0] == 0
    assert kubeconfig_of(machine, "ada").read_text() == before


def test_a_replaced_token_is_refused_wherever_its_user_is_still_bound(
    like_eks: Lab, tmp_path: Path
) -> None:
    machine = like_eks.settings.for_machine
    old = tmp_path / "old"
    old.write_text(kubeconfig_of(machine, "ada").read_text())
    assert as_learner(like_eks, old, "get", "pods")[0] == 0
    access.retire(machine, {"ada": SECOND})
    kubeconfigs.issue(machine, {"ada": seat_users(machine)["ada"]}, 30)
    assert accounts(like_eks, "ada") == [f"learner-{SECOND}"]

    # The binding did not change: the token itself ends, once the API server's cache forgets it.
    def refused() -> bool:
        code, _, said = as_learner(like_eks, old, "get", "pods")
        return code != 0 and "Unauthorized" in said

    wait_until(refused, "the old token is refused", 30)
    bind(like_eks)
    access.prove(machine, ["ada"], 30)
    assert not Path(machine.class_dir, "retired", "ada").exists()
    assert as_learner(like_eks, kubeconfig_of(machine, "ada"), "get", "pods")[0] == 0
    assert as_learner(like_eks, kubeconfig_of(machine, "bob"), "get", "pods")[0] == 0
