"""The Git server in the cluster: its objects, its address, what keeps it from serving, and how work
reaches its repositories."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from sopslab.checks.git_pod import hindrance, is_outdated, is_rolled_out, objects, other_claim
from sopslab.config.environment import Environment, at_seat, bare_repository, solo
from sopslab.config.places import GitPod, Lab
from sopslab.config.settings import Seat, Settings
from sopslab.course.chapter import MANIFEST_PATH
from sopslab.errors import LabError
from sopslab.lab.act import (
    asking,
    certificates,
    git_pod,
    handouts,
    mistakes,
    repositories,
    rows,
    served,
)
from sopslab.lab.act.branches import move
from sopslab.lab.act.copies import make, worked_on
from sopslab.lab.act.pruning import prune
from sopslab.lab.observe import copies
from sopslab.lab.observe.certificates import server_file
from sopslab.lab.observe.checkpoints import repository_states
from sopslab.lab.observe.copies import bare_repositories, bring
from sopslab.lab.observe.exercise import exercise_on_main
from sopslab.lab.observe.git_pod import git_server_in, manifests, pod_state, server_trouble
from sopslab.lab.observe.handouts import fetchable, stale_handouts
from sopslab.lab.observe.repositories import listed, refs_of
from sopslab.lab.tools import relay
from sopslab.lab.tools.git import Git
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.relay import SILENT
from sopslab.layout import LIST_PATH, git_pod_sources
from sopslab.model.faults import Mistake
from sopslab.model.git_pod import GitServerLeft, PodShape
from sopslab.model.mark import MARK, render_mark
from sopslab.model.rows import OwnRow
from tests.texts import replaced, write_files

HASH = "ada:$2b$05$hash"
OURS = {"sops-lab-git": "lab", "sops-lab/id": "0123456789abcdef"}
GIVEN: dict[str, Any] = {
    "configuration": {"gate": "#!/bin/sh\n", "gitconfig": "", "hooks/pre-receive": "#!/bin/sh\n"},
    "executable": ["gate", "hooks/pre-receive"],
    "recipients": {"ada": "age1ada\n"},
    "secrets": {"htpasswd": HASH.encode(), "server.pem": b"PEM", "token": b"token"},
}


def shape(**changes: Any) -> PodShape:
    usual = {"image": "r/git@sha256:0", "service": "ClusterIP", "port": 30443, "size": "5Gi"}
    return PodShape(**{"storage_class": None, **usual, **changes})


def made(kind: str, name: str = "git", **changes: Any) -> dict[str, Any]:
    """Return one of the objects, made from the usual values and these changes."""
    given = {key: changes.pop(key) for key in GIVEN.keys() & changes.keys()}
    listed = objects("lab", OURS, shape(**changes), **{**GIVEN, **given})
    (found,) = [one for one in listed if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return dict(found)


def pod(**changes: Any) -> dict[str, Any]:
    return dict(made("StatefulSet", **changes)["spec"]["template"])


# What it is made of


def test_the_pod_is_restricted_and_writes_what_it_is_told_while_it_runs_only() -> None:
    namespace = made("Namespace", "sops-lab-git-lab")["metadata"]["labels"]
    assert namespace["pod-security.kubernetes.io/enforce"] == "restricted"
    spec = pod()["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert not spec["automountServiceAccountToken"]
    writable = {
        mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")
    }
    assert writable == {f"/srv/git/{name}" for name in ("access", "repositories", "rows")} | {
        "/tmp"
    }


def test_what_is_run_can_be_run_and_nothing_else() -> None:
    (etc,) = [one for one in pod()["spec"]["volumes"] if one["name"] == "etc"]
    modes = {item["path"]: oct(item["mode"]) for item in etc["configMap"]["items"]}
    assert modes == {"gate": "0o555", "hooks/pre-receive": "0o555", "gitconfig": "0o444"}
    kept = made("ConfigMap", "etc")["data"]
    assert {item["key"] for item in etc["configMap"]["items"]} == set(kept)


@pytest.mark.parametrize(
    "change",
    [
        {"secrets": {**GIVEN["secrets"], "htpasswd": b"ada:$2b$05$other"}},
        {"recipients": {"ada": "age1other\n"}},
        {"configuration": {**GIVEN["configuration"], "gate": "#!/bin/sh\nexit 1\n"}},
        {"image": "r/git@sha256:1"},
    ],
)
def test_the_pod_is_another_one_for_whatever_its_server_reads_when_it_starts(
    change: dict[str, Any],
) -> None:
    assert pod() == pod()
    assert pod(**change) != pod()


def test_no_secret_is_outside_the_secret() -> None:
    listed = objects("lab", OURS, shape(), **GIVEN)
    others = json.dumps([one for one in listed if one["kind"] != "Secret"])
    for content in GIVEN["secrets"].values():
        assert content.decode() not in others.replace('"token"', "")
        assert base64.b64encode(content).decode() not in others


@pytest.mark.parametrize(
    ("service", "ports"),
    [
        ("ClusterIP", [(8080, None)]),
        ("NodePort", [(8080, 30443)]),
        ("LoadBalancer", [(8080, None), (30443, None)]),
    ],
)
def test_flux_finds_it_at_one_port_and_learners_at_that_of_the_lab_file(
    service: str, ports: list[tuple[int, int | None]]
) -> None:
    spec = made("Service", service=service)["spec"]
    assert spec["type"] == service
    assert [(one["port"], one.get("nodePort")) for one in spec["ports"]] == ports
    assert {one["targetPort"] for one in spec["ports"]} == {"git"}


def test_the_server_reaches_the_receiver_and_names_and_nothing_else() -> None:
    spec = made("NetworkPolicy", "receiver-only")["spec"]
    assert spec["policyTypes"] == ["Egress"]
    reached = {
        (
            pods["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
            *pods["podSelector"]["matchLabels"].values(),
            *sorted({port["port"] for port in rule["ports"]}),
        )
        for rule in spec["egress"]
        for pods in rule["to"]
    }
    assert reached == {
        ("flux-system", "notification-controller", 9292),
        ("kube-system", "kube-dns", 53),
        ("openshift-dns", "default", 5353),
    }


def test_the_claim_outlives_the_server() -> None:
    spec = made("StatefulSet", storage_class="fast", size="20Gi")["spec"]
    assert set(spec["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"] == {"requests": {"storage": "20Gi"}}
    # Without a name, the cluster's default class applies; it requires that the field is absent.
    (usual,) = made("StatefulSet")["spec"]["volumeClaimTemplates"]
    assert "storageClassName" not in usual["spec"]


@pytest.mark.parametrize(
    ("storage_class", "size", "said"),
    [
        (None, "5Gi", ""),
        (None, "5120Mi", ""),
        (None, "6Gi", "5Gi of the default storage class"),
        ("fast", "5Gi", "5Gi of the default storage class"),
    ],
)
def test_a_volume_that_cannot_be_had_any_more_is_told(
    storage_class: str | None, size: str, said: str
) -> None:
    assert other_claim(made("StatefulSet"), storage_class, size) == said
    assert other_claim(made("StatefulSet", storage_class="fast"), None, "5Gi") == "5Gi of fast"


# What keeps it from serving


def stateful_set(**status: Any) -> dict[str, Any]:
    usual = {
        "observedGeneration": 2, "readyReplicas": 1, "updatedReplicas": 1,
        "currentRevision": "git-2", "updateRevision": "git-2",
    }  # fmt: skip
    return {"metadata": {"generation": 2}, "status": {**usual, **status}}


@pytest.mark.parametrize(
    "status",
    [
        {"observedGeneration": 1},
        {"readyReplicas": 0},
        {"updatedReplicas": 0},
        {"currentRevision": "git-1"},
    ],
)
def test_a_pod_that_is_not_the_one_wanted_last_does_not_count(status: dict[str, Any]) -> None:
    assert is_rolled_out(stateful_set())
    assert not is_rolled_out(stateful_set(**status))
    assert not is_rolled_out({"metadata": {"generation": 1}})


def started(ready: str, revision: str) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"controller-revision-hash": revision}},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def test_a_pod_that_never_became_ready_gives_way_to_its_successor() -> None:
    assert is_outdated(started("False", "git-1"), stateful_set())
    assert not is_outdated(started("True", "git-1"), stateful_set())
    assert not is_outdated(started("False", "git-2"), stateful_set())


def waiting(reason: str) -> dict[str, Any]:
    state = {"image": "r/git@sha256:0", "state": {"waiting": {"reason": reason}}}
    return {"status": {"containerStatuses": [state]}}


UNSCHEDULED = {"status": {"conditions": [{"type": "PodScheduled", "status": "False"}]}}
CLAIM = {"spec": {}, "status": {"phase": "Pending"}}


@pytest.mark.parametrize(
    ("seen", "claim", "said"),
    [
        (None, None, "there is no pod yet"),
        (waiting("ImagePullBackOff"), None, "its node cannot pull r/git@sha256:0"),
        (waiting("CreateContainerConfigError"), None, "CreateContainerConfigError"),
        (UNSCHEDULED, None, "no node has room for it"),
        (UNSCHEDULED, CLAIM, "a default storage class gives it no volume"),
        (UNSCHEDULED, {**CLAIM, "spec": {"storageClassName": "fast"}}, "class fast gives it no"),
        ({"status": {}}, None, "it has not started yet"),
    ],
)
def test_what_keeps_a_pod_from_serving_is_said(seen: Any, claim: Any, said: str) -> None:
    assert said in hindrance(seen, claim)


# On this machine

KUBECTL = """#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
echo "$KUBECONFIG" >>"$here/used"
case " $* " in
*" get namespace kube-system "*) cat "$here/oldest" ;;
*" get namespace "*) cat "$here/namespace" ;;
*" get statefulset "*) cat "$here/statefulset" ;;
*" get pod "*) cat "$here/pod" ;;
*" delete pod "*) cp "$here/later" "$here/statefulset" ;;
*" exec "*)
    if [ -e "$here/silent" ]; then echo "error: unable to upgrade connection" >&2; exit 1; fi
    while [ "$1" != sopslab.lab ]; do shift; done
    "$PYTHON" -P "$here/run.py" "$2" && exit
    echo "command terminated with exit code 1" >&2
    exit 1
    ;;
esac
"""
# Runs as in the container: only with the modules in the image.
RUN = """
import runpy, sys
sys.path.insert(0, {modules!r})
runpy.run_module("sopslab.lab", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def settings(answered_by: Callable[..., Settings]) -> Settings:
    """A lab with its Git server in a cluster; the cluster is a script in kubectl's place."""
    found = answered_by(
        KUBECTL,
        registry="registry.example/class",
        cluster_provider="existing",
        kubeconfig="/home/ada/.kube/config",
        context="prod",
        git_in_cluster={"host": "git.example.org", "port": 30443, "service": "NodePort"},
    )
    for name in ("namespace", "statefulset", "pod"):
        Path(found.bin_dir, name).write_text("")
    Path(found.id_file).write_text(OURS["sops-lab/id"])
    say(found, "oldest", {"metadata": {"uid": "its-id"}})
    return found


def say(settings: Settings, name: str, what: Any) -> None:
    Path(settings.bin_dir, name).write_text(json.dumps(what))


@pytest.fixture
def filled(settings: Settings) -> Settings:
    """The lab with the files that its server reads."""
    data = Path(settings.git_dir)
    write_files(data, {
        "etc/gate": "#!/bin/sh\n", "etc/hooks/pre-receive": "#!/bin/sh\n", "etc/gitconfig": "",
        "recipients/ada": "age1ada\n", "htpasswd": HASH, "receiver/token": "token",
        "tls/server.pem": "PEM",
    })  # fmt: skip
    for name in ("gate", "hooks/pre-receive"):
        (data / "etc" / name).chmod(0o755)
    return settings


def test_the_manifests_are_written_once_and_are_nobody_elses(filled: Settings) -> None:
    place = filled.for_machine
    assert not pod_state(place, shape()).laid_out
    git_pod.lay_out(place, shape())
    written = Path(place.git_manifests)
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert list(yaml.safe_load_all(written.read_text())) == objects("lab", OURS, shape(), **GIVEN)
    assert pod_state(place, shape()).laid_out
    assert not pod_state(place, shape(size="6Gi")).laid_out
    say(filled, "namespace", {"metadata": {"labels": OURS}})
    say(filled, "statefulset", made("StatefulSet"))
    assert pod_state(place, shape()).other_claim == ""
    assert pod_state(place, shape(size="6Gi")).other_claim == "5Gi of the default storage class"
    Path(place.git_dir, "htpasswd").write_text("ada:$2b$05$another")
    assert not pod_state(place, shape()).laid_out


def test_a_name_that_is_a_number_in_gos_yaml_is_written_as_text(filled: Settings) -> None:
    Path(filled.id_file).write_text("1e34567890123456")
    place = replace(filled.for_machine, lab="1e3")
    Path(place.lab_dir).symlink_to(filled.lab_dir)
    text = (manifests(place, shape()) or b"").decode()
    assert '"sops-lab-git": "1e3"\n' in text and '"sops-lab/id": "1e34567890123456"\n' in text


def test_without_what_the_server_reads_there_are_no_manifests(filled: Settings) -> None:
    Path(filled.git_dir, "receiver", "token").unlink()
    assert manifests(filled.for_machine, shape()) is None
    with pytest.raises(LabError, match="run `sopslab up` again"):
        git_pod.lay_out(filled.for_machine, shape())


@pytest.mark.parametrize(
    ("labels", "foreign"),
    [
        (OURS, False),
        ({"sops-lab-git": "other", "sops-lab/id": OURS["sops-lab/id"]}, True),
        ({**OURS, "sops-lab/id": "fedcba9876543210"}, True),
        ({"sops-lab-git": "lab"}, True),
        (None, True),
    ],
)
def test_a_namespace_that_is_not_this_labs_is_told_and_stays(
    labels: dict[str, str] | None, foreign: bool, filled: Settings
) -> None:
    say(filled, "namespace", {"metadata": {"labels": labels}})
    assert pod_state(filled.for_machine, shape()).foreign is foreign
    left = git_server_in(filled.for_machine, filled.lab_kubeconfig)
    assert left is not None
    assert left.namespace is not foreign


def test_repositories_of_a_lab_from_before_ids_stay_its_own(filled: Settings) -> None:
    say(filled, "namespace", {"metadata": {"labels": {"sops-lab-git": "lab"}}})
    Path(filled.clusters_file).write_text('["its-id"]')
    assert not pod_state(filled.for_machine, shape()).foreign


def test_a_pod_that_hangs_is_replaced_and_the_address_that_leads_nowhere_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_pod, "_ANSWERS_S", 0)
    say(settings, "statefulset", stateful_set(currentRevision="git-1", readyReplicas=0))
    say(settings, "pod", started("False", "git-1"))
    say(settings, "later", stateful_set())
    with pytest.raises(
        LabError, match=r"nothing answers for it at https://git\.example\.org:30443"
    ):
        git_pod.await_server(settings.for_machine)
    calls = Path(settings.bin_dir, "calls").read_text()
    assert "delete pod git-0" in calls


def test_a_pod_that_does_not_get_ready_is_not_awaited_for_ever(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_pod, "_READY_S", 0)
    say(settings, "statefulset", stateful_set(readyReplicas=0))
    say(settings, "pod", {**started("False", "git-2"), **waiting("ImagePullBackOff")})
    with pytest.raises(LabError, match="its node cannot pull"):
        git_pod.await_server(settings.for_machine)


def test_nothing_is_there_before_the_cluster_is(settings: Settings) -> None:
    Path(settings.lab_kubeconfig).unlink()
    assert server_trouble(settings.for_machine) == "it is not there"
    assert not pod_state(settings.for_machine, shape()).laid_out


@pytest.mark.parametrize(
    ("purge", "deleted"), [(True, "delete namespace"), (False, "statefulsets")]
)
def test_down_leaves_the_claim_unless_it_purges(
    purge: bool, deleted: str, settings: Settings
) -> None:
    git_pod.take_away(settings.for_machine, "/home/ada/.kube/config", purge)
    (call,) = Path(settings.bin_dir, "calls").read_text().splitlines()
    assert deleted in call
    assert ("sops-lab-git=lab" in call) is not purge
    assert "persistentvolumeclaims" not in call


def test_down_asks_the_cluster_that_the_lab_is_in(settings: Settings) -> None:
    place, theirs = settings.for_machine, Path(settings.root, "theirs")
    say(settings, "namespace", {"metadata": {"labels": OURS}})
    assert git_server_in(place, str(theirs)) == GitServerLeft(namespace=True)
    Path(place.lab_kubeconfig).unlink()
    assert git_server_in(place, str(theirs)) is None
    theirs.write_text("a: kubeconfig\n")
    assert git_server_in(place, str(theirs)) == GitServerLeft(namespace=True)
    used = Path(settings.bin_dir, "used").read_text().splitlines()
    assert list(dict.fromkeys(used)) == [place.lab_kubeconfig, str(theirs)]


def test_down_asks_for_a_server_only_where_there_ever_was_one(
    settings: Settings, lab: Callable[..., Settings]
) -> None:
    where = {"cluster_provider": "existing", "kubeconfig": "/k", "context": "prod"}
    without = lab(**where).for_machine
    say(settings, "namespace", {"metadata": {"labels": OURS}})
    assert git_server_in(without, without.lab_kubeconfig) == GitServerLeft()
    assert not Path(settings.bin_dir, "calls").exists()
    # `git_in_cluster` was taken out of the lab file.
    Path(without.git_manifests).write_text("kind: List\n")
    assert git_server_in(without, without.lab_kubeconfig) == GitServerLeft(namespace=True)


# Where it is reached


def test_the_ca_may_sign_for_the_names_that_it_is_reached_by(settings: Settings) -> None:
    place = settings.for_machine
    assert place.git_pod == GitPod("git.example.org", 30443)
    assert place.git_base_url == "https://git.example.org:30443"
    assert place.git_base_cluster_url == "https://git.sops-lab-git-lab.svc:8080"
    certificates.make_ca(place)
    certificates.certify_server(place)
    server = x509.load_pem_x509_certificate(Path(server_file(place)).read_bytes())
    ca = x509.load_pem_x509_certificate(Path(place.tls_dir, "ca.crt").read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    wanted = {"git.example.org", "git.sops-lab-git-lab.svc"}
    assert set(names.get_values_for_type(x509.DNSName)) == wanted
    allowed = ca.extensions.get_extension_for_class(x509.NameConstraints).value
    assert wanted <= {one.value for one in allowed.permitted_subtrees or []}


# Work on the repositories


@pytest.fixture
def in_pod(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data of the server in its pod. Here, the pod is a folder, with the modules of the
    image."""
    modules = tmp_path / "image"
    for name, source in git_pod_sources().items():
        (modules / name).parent.mkdir(parents=True, exist_ok=True)
        (modules / name).write_bytes(source.read_bytes())
    Path(settings.bin_dir, "run.py").write_text(RUN.format(modules=str(modules)))
    monkeypatch.setenv("PYTHON", sys.executable)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    there = Lab(**{**vars(relay.IN_POD), "root": str(tmp_path / "pod")})
    monkeypatch.setattr(relay, "IN_POD", there)
    Path(there.git_dir).mkdir(parents=True)
    yield Path(there.git_dir)


def test_repositories_are_made_and_seen_where_they_are_in_one_call_for_all(
    settings: Settings, in_pod: Path
) -> None:
    place, wanted = settings.for_machine, ["platform", "ada/lab", "zoe/lab"]
    assert bare_repositories(place, wanted) == []
    repositories.make(place, repositories=wanted[:2])
    assert bare_repositories(place, wanted) == wanted[:2]
    assert (in_pod / "repositories" / "ada" / "lab.git" / "HEAD").is_file()
    assert not os.path.lexists(place.git_dir)
    calls = Path(settings.bin_dir, "calls").read_text().splitlines()
    assert len(calls) == 3
    (order,) = {call.partition("python3")[0] for call in calls}
    assert order == (
        "--context prod --namespace sops-lab-git-lab exec git-0 --container git --stdin --"
        " /usr/bin/"
    )


def test_what_fails_there_is_said_here_with_its_words_for_the_log(
    settings: Settings, in_pod: Path
) -> None:
    Path(settings.bin_dir, "run.py").write_text(
        "raise SystemExit('sops-lab says: /srv/git/repositories: the disk is full')"
    )
    with pytest.raises(LabError, match="failed: /srv/git/repositories: the disk is full") as caught:
        repositories.make(settings.for_machine, ["platform"])
    assert isinstance(caught.value.__cause__, Failed)
    assert b"the disk is full" in caught.value.__cause__.words


@pytest.mark.parametrize("answer", ["hello", '{"platform": {"refs": {}'])
def test_an_answer_that_is_nonsense_or_cut_off_is_none(
    answer: str, settings: Settings, in_pod: Path
) -> None:
    Path(settings.bin_dir, "run.py").write_text(f"print({answer!r})")
    with pytest.raises(LabError, match=SILENT):
        listed(settings.for_machine, ["platform"])


# Copies of the repositories, and work on them

ADA, BOB = (
    at_seat(Seat(id=seat, name=seat, email=f"{seat}@example.org")) for seat in ("ada", "bob")
)
MAIN, START = "refs/heads/main", "refs/lab/start"


@pytest.fixture
def repositories_in(in_pod: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the server's repositories, with two of them; fetches read from this folder."""
    folder = in_pod / "repositories"
    monkeypatch.setattr(Lab, "git_base_url", property(lambda _: str(folder)))
    repositories.make(settings.for_machine, [ADA.repository, BOB.repository])
    return folder


def git(folder: Path, *arguments: str, stdin: str = "") -> str:
    by = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", f"--git-dir={folder}", *arguments],
        input=stdin, env={**os.environ, **by}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def commit(folder: Path, message: str, ref: str = MAIN) -> str:
    """Point a ref at a new commit, and return the commit."""
    tree = git(folder, "hash-object", "-t", "tree", "-w", "--stdin")
    made = git(folder, "commit-tree", tree, "-m", message)
    git(folder, "update-ref", ref, made)
    return made


def refs(place: Lab, environment: Environment) -> dict[str, str]:
    return refs_of(Git(place, bare_repository(place, environment)))


def server(folder: Path, environment: Environment) -> Path:
    return folder / f"{environment.repository}.git"


def calls(settings: Settings) -> int:
    return len(Path(settings.bin_dir, "calls").read_text().splitlines())


def test_a_copy_follows_what_is_on_the_server_in_one_call_for_all(
    settings: Settings, repositories_in: Path
) -> None:
    place, before = settings.for_machine, calls(settings)
    ada = server(repositories_in, ADA)
    first, start = commit(ada, "first"), commit(ada, "start", START)
    (ada / MARK).write_text(render_mark(1.5))
    assert bring(place, [ADA, BOB]) == {}
    assert refs(place, ADA) == {MAIN: first, START: start}
    assert refs(place, BOB) == {}
    assert Path(bare_repository(place, ADA), MARK).read_text() == render_mark(1.5)
    assert calls(settings) == before + 1

    git(ada, "update-ref", "-d", MAIN)
    second = commit(ada, "second", "refs/heads/main/below")
    (ada / MARK).unlink()
    assert bring(place, [ADA, BOB]) == {}
    assert refs(place, ADA) == {"refs/heads/main/below": second, START: start}
    assert not Path(bare_repository(place, ADA), MARK).exists()


def test_what_is_changed_here_is_changed_there_in_one_call_for_all(
    settings: Settings, repositories_in: Path
) -> None:
    place = settings.for_machine
    old = commit(server(repositories_in, BOB), "old")
    before = calls(settings)
    with worked_on(place, [ADA, BOB]):
        made = commit(Path(bare_repository(place, ADA)), "made", START)
        git(Path(bare_repository(place, BOB)), "update-ref", "-d", MAIN)
        assert refs_of(Git(place, server(repositories_in, BOB))) == {MAIN: old}
    assert refs_of(Git(place, server(repositories_in, ADA))) == {START: made}
    assert refs_of(Git(place, server(repositories_in, BOB))) == {}
    assert git(server(repositories_in, ADA), "cat-file", "-t", made) == "commit"
    assert calls(settings) == before + 2
    with worked_on(place, [ADA, BOB]):
        pass
    assert calls(settings) == before + 3


def test_what_somebody_pushed_meanwhile_stays_and_keeps_nobody_else_up(
    settings: Settings, repositories_in: Path
) -> None:
    place = settings.for_machine
    with worked_on(place, [ADA, BOB]):
        theirs = commit(server(repositories_in, ADA), "theirs")
        commit(Path(bare_repository(place, ADA)), "ours")
        git(Path(bare_repository(place, ADA)), "update-ref", START, MAIN)
        ours = commit(Path(bare_repository(place, BOB)), "ours")
    assert refs_of(Git(place, server(repositories_in, ADA))) == {MAIN: theirs}
    assert refs_of(Git(place, server(repositories_in, BOB))) == {MAIN: ours}
    failed = {path.name for path in Path(place.class_dir, "failed").iterdir()}
    assert failed == {"ada"}
    assert bring(place, [ADA]) == {}
    assert refs(place, ADA) == {MAIN: theirs}

    with pytest.raises(LabError, match="could not be changed"), worked_on(place, [ADA]):
        theirs = commit(server(repositories_in, ADA), "theirs again")
        commit(Path(bare_repository(place, ADA)), "ours again")


def test_a_clone_does_not_follow_what_the_server_has_not_taken(
    settings: Settings, repositories_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, own = settings.for_machine, solo(settings)
    repositories.make(place, [own.repository])
    folder, work = server(repositories_in, own), Path(settings.work_dir)
    first = commit(folder, "first")
    brought = git(folder, "commit-tree", f"{first}^{{tree}}", "-p", first, "-m", "mistake")
    git(folder, "update-ref", MAIN, brought)
    subprocess.run(["git", "clone", "--quiet", str(folder), str(work)], check=True)

    def push_meanwhile(*given: Any) -> None:
        move(*given)
        commit(folder, "theirs")

    monkeypatch.setattr(mistakes, "move", push_meanwhile)
    with pytest.raises(LabError, match="could not be changed"):
        mistakes.take_back(place, own, [Mistake(brought, exposes=False)])
    assert git(work / ".git", "rev-parse", "HEAD") == brought
    git(folder, "update-ref", MAIN, brought)
    monkeypatch.setattr(mistakes, "move", move)
    mistakes.take_back(place, own, [Mistake(brought, exposes=False)])
    assert git(work / ".git", "rev-parse", "HEAD") == first


def test_a_run_that_fails_leaves_the_server_as_it_was(
    settings: Settings, repositories_in: Path
) -> None:
    place = settings.for_machine
    old = commit(server(repositories_in, ADA), "old")
    with pytest.raises(ZeroDivisionError), worked_on(place, [ADA]):
        commit(Path(bare_repository(place, ADA)), "half")
        raise ZeroDivisionError
    assert refs_of(Git(place, server(repositories_in, ADA))) == {MAIN: old}
    assert bring(place, [ADA]) == {}
    assert refs(place, ADA) == {MAIN: old}


@pytest.mark.parametrize("again", [True, False])
def test_a_repository_that_the_server_lost_comes_back_from_the_copy(
    again: bool, settings: Settings, repositories_in: Path
) -> None:
    place = settings.for_machine
    pushed, start = (commit(server(repositories_in, ADA), "pushed", ref) for ref in (MAIN, START))
    both = [ADA.repository, BOB.repository]
    (server(repositories_in, ADA) / MARK).write_text(render_mark(1.5))
    assert bring(place, [ADA, BOB]) == {}
    assert bare_repositories(place, both) == both
    repositories.remove(place, ["ada"])
    assert not server(repositories_in, ADA).exists()
    if again:
        repositories.make(place, [ADA.repository])
    assert set(bring(place, [ADA, BOB])) == {"ada"}
    assert refs(place, ADA) == {MAIN: pushed, START: start}
    assert bare_repositories(place, both) == [BOB.repository]
    before = calls(settings)
    make(place, [ADA.repository])
    assert calls(settings) == before + (2 if again else 3)
    assert refs_of(Git(place, server(repositories_in, ADA))) == {MAIN: pushed, START: start}
    assert (server(repositories_in, ADA) / MARK).read_text() == render_mark(1.5)
    assert git(server(repositories_in, ADA), "fsck", "--strict") == ""
    assert bring(place, [ADA, BOB]) == {}
    assert Path(bare_repository(place, ADA), MARK).exists()


def test_a_repository_of_many_objects_comes_back_as_one_file(
    settings: Settings, repositories_in: Path
) -> None:
    place, folder = settings.for_machine, server(repositories_in, ADA)
    blobs = (f"M 100644 inline {one}\ndata 3\n{one:03}\n" for one in range(120))
    head = f"commit {MAIN}\ncommitter a <a@b> 0 +0000\ndata 1\na\n"
    git(folder, "fast-import", "--quiet", "--done", stdin=f"{head}{''.join(blobs)}\ndone\n")
    pushed = git(folder, "rev-parse", MAIN)
    assert bring(place, [ADA]) == {}
    repositories.remove(place, ["ada"])
    make(place, [ADA.repository])
    assert refs_of(Git(place, folder)) == {MAIN: pushed}
    assert git(folder, "fsck", "--strict") == ""
    assert "count: 0\n" in git(folder, "count-objects", "-v")


def test_a_lock_that_a_killed_pod_left_keeps_no_change_away(
    settings: Settings, repositories_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, folder = settings.for_machine, server(repositories_in, ADA)
    commit(folder, "pushed")
    for name in ("HEAD", MAIN, "packed-refs"):
        (folder / f"{name}.lock").touch()
    run = Path(settings.bin_dir, "run.py")
    patience = "import sopslab.lab.tools.git as g; g._LOCK_S = 0\nrunpy.run_module"
    run.write_text(replaced(run.read_text(), "runpy.run_module", patience))
    with worked_on(place, [ADA]):
        ours = commit(Path(bare_repository(place, ADA)), "ours")
    assert refs_of(Git(place, folder)) == {MAIN: ours}


def test_a_repository_that_cannot_be_fetched_hides_no_other(
    settings: Settings, repositories_in: Path
) -> None:
    place = settings.for_machine
    commit(server(repositories_in, BOB), "pushed")
    broken = commit(server(repositories_in, ADA), "broken")
    (server(repositories_in, ADA) / "objects" / broken[:2] / broken[2:]).unlink()
    assert set(bring(place, [ADA, BOB])) == {"ada"}
    assert MAIN in refs(place, BOB)
    states = repository_states(place, [ADA, BOB], "start", "saved/x")
    assert states["ada"].problem == "its repository could not be fetched"


def test_a_server_that_is_silent_is_no_empty_one(settings: Settings, repositories_in: Path) -> None:
    place = settings.for_machine
    commit(server(repositories_in, ADA), "pushed")
    assert bring(place, [ADA, BOB]) == {}
    Path(settings.bin_dir, "silent").touch()
    assert bring(place, [ADA, BOB]) == {"ada": SILENT, "bob": SILENT}
    assert MAIN in refs(place, ADA)
    with pytest.raises(LabError, match=SILENT), worked_on(place, [ADA]):
        raise AssertionError("work has begun on what nobody knows")
    assert fetchable(place) == frozenset()


def test_the_exercise_is_looked_at_on_the_server_and_on_no_older_copy(
    settings: Settings, repositories_in: Path
) -> None:
    place = settings.for_machine
    assert not exercise_on_main(place, ADA, "backend-secrets").done
    files = {MANIFEST_PATH: "kind: Secret\n", LIST_PATH: "resources:\n- backend-secrets.yaml\n"}
    head = f"commit {MAIN}\ncommitter a <a@b> 0 +0000\ndata 1\na\n"
    blobs = (f"M 100644 inline {path}\ndata {len(text)}\n{text}\n" for path, text in files.items())
    pushed = f"{head}{''.join(blobs)}\ndone\n"
    git(server(repositories_in, ADA), "fast-import", "--quiet", "--done", stdin=pushed)
    assert exercise_on_main(place, ADA, "backend-secrets").done
    Path(settings.bin_dir, "silent").touch()
    assert exercise_on_main(place, ADA, "backend-secrets").problem == SILENT


def test_a_look_makes_nothing_before_there_is_a_cluster(settings: Settings, in_pod: Path) -> None:
    Path(settings.lab_kubeconfig).unlink()
    assert set(bring(settings.for_machine, [ADA])) == {"ada"}
    assert not os.path.lexists(settings.git_dir)


# Repositories of learners who leave


def archived(place: Lab) -> Path:
    """Return the repository in Ada's only archive."""
    (kept,) = Path(place.pruned_dir).glob("ada-*/repositories/lab.git")
    return kept


def test_no_other_run_brings_back_what_was_archived(
    settings: Settings, repositories_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, asked = settings.for_machine, []
    pushed = commit(server(repositories_in, ADA), "pushed")
    remove = repositories.remove

    def look_meanwhile(lab: Lab, owners: list[str]) -> None:
        asked.append(set(bring(place, [ADA, BOB])))
        remove(lab, owners)

    monkeypatch.setattr(copies, "_WAIT_S", 0)
    monkeypatch.setattr(repositories, "remove", look_meanwhile)
    prune(place, [ADA], "[]", 0)
    assert asked == [{"ada", "bob"}]
    assert refs_of(Git(place, archived(place))) == {MAIN: pushed}
    assert not server(repositories_in, ADA).exists()
    assert bring(place, [ADA, BOB]) == {}
    assert not Path(bare_repository(place, ADA)).exists()

    # Whoever gets that id later begins anew.
    make(place, [ADA.repository])
    assert refs_of(Git(place, server(repositories_in, ADA))) == {}


@pytest.mark.parametrize("again", [True, False])
def test_the_copy_is_archived_where_the_server_lost_the_repository(
    again: bool, settings: Settings, repositories_in: Path
) -> None:
    place = settings.for_machine
    pushed = commit(server(repositories_in, ADA), "pushed")
    assert bring(place, [ADA]) == {}
    repositories.remove(place, ["ada"])
    if again:
        repositories.make(place, [ADA.repository])
    prune(place, [ADA], "[]", 0)
    assert refs_of(Git(place, archived(place))) == {MAIN: pushed}
    assert not server(repositories_in, ADA).exists()
    assert not Path(bare_repository(place, ADA)).exists()


def test_a_removal_that_is_killed_leaves_no_half_repository(
    settings: Settings, repositories_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, there = settings.for_machine, relay.IN_POD
    commit(server(repositories_in, ADA), "pushed")

    def killed(path: Path) -> None:
        (path / "lab.git" / "HEAD").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            repositories.remove(there, ["ada"])
    assert list(listed(place, [ADA.repository, BOB.repository])) == [BOB.repository]
    assert not (repositories_in / "ada").exists()

    # Neither a later learner with that id is in its way, nor anybody else.
    theirs = commit(server(repositories_in, BOB), "theirs")
    repositories.make(place, [ADA.repository])
    prune(place, [ADA], "[]", 0)
    assert [path.name for path in repositories_in.iterdir()] == ["bob"]
    assert refs_of(Git(place, server(repositories_in, BOB))) == {MAIN: theirs}


def test_what_cannot_be_archived_is_not_removed(settings: Settings, repositories_in: Path) -> None:
    place = settings.for_machine
    broken = commit(server(repositories_in, ADA), "broken")
    (server(repositories_in, ADA) / "objects" / broken[:2] / broken[2:]).unlink()
    theirs = commit(server(repositories_in, BOB), "theirs")
    with pytest.raises(LabError, match="the repository of ada cannot be archived"):
        prune(place, [BOB, ADA], "[]", 0)
    assert refs_of(Git(place, server(repositories_in, BOB))) == {MAIN: theirs}
    assert not Path(place.pruned_dir).exists()


# What it tells learners beside repositories


def test_what_learners_fetch_is_put_there_and_taken_away(settings: Settings, in_pod: Path) -> None:
    place, pages = settings.for_machine, {"ada": "page of ada"}
    certificates.make_ca(place)
    Path(place.seat_dir("ada")).mkdir(parents=True)
    Path(place.seat_dir("ada"), "kubeconfig").write_text("kubeconfig of ada\n")
    digests = {who: hashlib.sha256(page.encode()).hexdigest() for who, page in pages.items()}
    assert stale_handouts(place, digests) == ["ada"]
    handouts.hand_out(place, pages)
    assert stale_handouts(place, digests) == []
    assert fetchable(place) == {"ada"}
    assert (in_pod / "access" / "ada" / "kubeconfig").read_text() == "kubeconfig of ada\n"
    assert (in_pod / "access" / "ca.crt").is_file()
    assert not Path(place.handouts_dir).exists()
    calls = Path(settings.bin_dir, "calls").read_text()
    assert "kubeconfig of ada" not in calls
    served.withdraw(place, ["ada"])
    assert stale_handouts(place, digests) == ["ada"]
    handouts.hand_out(place, pages)
    handouts.withdraw(place)
    assert list((in_pod / "access").iterdir()) == []


def test_the_rows_of_the_board_are_shown_there(settings: Settings, in_pod: Path) -> None:
    place, row = settings.for_machine, OwnRow(1.0, [], "next", "", None)
    served.show_rows(place, {"ada": row, "bob": row}, [], 2.0)
    served.show_rows(place, {"ada": row}, [], 3.0)
    assert [path.name for path in (in_pod / "rows").iterdir()] == ["ada.json"]
    assert json.loads((in_pod / "rows" / "ada.json").read_text())["seen"] == 2.0
    rows.withdraw(place)
    assert list((in_pod / "rows").iterdir()) == []


def test_who_was_helped_is_noted_there(settings: Settings, repositories_in: Path) -> None:
    (server(repositories_in, ADA) / MARK).write_text(render_mark(1.5))
    assert asking.helped(settings.for_machine, [ADA, BOB]) == {"ada": 1.5}
    assert not (server(repositories_in, ADA) / MARK).exists()
