"""`sopslab up`: what it promises about a lab, checked with the stock tools."""

from __future__ import annotations

import base64
import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from sopslab.config.places import FLUX, GIT_SERVER_USER, INSTRUCTOR
from sopslab.layout import ARTIFACT_ADDRESS
from tests.cluster.isolation.hostile import pod
from tests.cluster.lab import Lab, run, secrets_of, wait_until
from tests.cluster.traffic import Traffic
from tests.texts import replaced

FLUX_SYSTEM = "flux/clusters/lab/flux-system"


def password(lab: Lab, user: str) -> str:
    return (Path(lab.settings.git_dir) / "credentials" / user / "password").read_text()


def address(lab: Lab, repository: str, user: str | None = None) -> str:
    """Return a repository's URL, with the credentials of `user` in it."""
    scheme, _, server = lab.settings.git_base_url.partition("://")
    login = f"{user}:{quote(password(lab, user), safe='')}@" if user else ""
    return f"{scheme}://{login}{server}/{repository}.git"


def git(lab: Lab, *arguments: str, cwd: Path | None = None, check: bool = True) -> str:
    """Run stock git with no configuration but the repository's own; return all that it prints."""
    env = {
        **lab.base_environment,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "no_proxy": "127.0.0.1",
    }
    done = run(["git", *arguments], env=env, cwd=cwd, check=check)
    return f"exit {done.returncode}: {done.stdout}{done.stderr}"


@pytest.mark.restores
def test_the_first_run_proves_the_canary(lab: Lab, tmp_path: Path) -> None:
    answer = lab.birth["answer"]
    assert answer["ok"] and answer["changed"] > 0
    assert [step["name"] for step in answer["steps"]][-1] == "Canary"
    expected, live = lab.canary_digests(tmp_path)
    assert live == expected


@pytest.mark.restores
def test_a_second_run_changes_nothing(lab: Lab) -> None:
    answer = lab.up()
    assert (answer["changed"], lab.changes(answer)) == (0, [])


@pytest.mark.restores
def test_stock_flux_is_content(lab: Lab) -> None:
    lab.run("flux", "check", "--context", lab.settings.lab_context)
    rows = lab.run("flux", "get", "all", "--all-namespaces", "--no-header").stdout.splitlines()
    rows = [row for row in rows if row.strip()]
    assert len(rows) == 5
    assert [row for row in rows if "\tTrue " not in row and "\tTrue\t" not in row] == []
    assert any(f"main@sha1:{lab.head()[:8]}" in row for row in rows)


@pytest.mark.restores
def test_stock_kubectl_shows_what_the_chapter_asks_for(lab: Lab) -> None:
    def get(*arguments: str) -> str:
        return lab.kubectl("get", "--output=name", *arguments).strip()

    assert get("namespace", "flux-system") == "namespace/flux-system"
    assert get("-n", "flux-system", "secret", "sops-age") == "secret/sops-age"
    assert get("-n", "flux-system", "kustomization", "secrets-develop").endswith("/secrets-develop")
    assert get("-n", "develop", "secret", "lab-canary") == "secret/lab-canary"
    kustomization = json.loads(
        lab.kubectl("-n", "flux-system", "get", "kustomization", "secrets-develop", "-o", "json")
    )
    assert kustomization["status"]["lastAppliedRevision"] == f"main@sha1:{lab.head()}"
    assert kustomization["status"]["observedGeneration"] == kustomization["metadata"]["generation"]


@pytest.mark.restores
def test_the_learner_clones_with_stock_git(lab: Lab, tmp_path: Path) -> None:
    repository = lab.settings.learner_repository
    url = address(lab, repository, lab.settings.learner.id)
    git(lab, "clone", "--quiet", url, str(tmp_path / "clone"))
    assert (tmp_path / "clone" / ".sops.yaml").is_file()
    assert (tmp_path / "clone" / "flux/secrets/develop/kustomization.yaml").is_file()


@pytest.mark.restores
def test_strangers_may_not_even_read(lab: Lab) -> None:
    for repository in (lab.settings.learner_repository, "platform"):
        said = git(lab, "ls-remote", address(lab, repository), check=False)
        assert said.startswith("exit 128") and "could not read Username" in said


@pytest.mark.restores
def test_the_learner_may_not_read_the_platform(lab: Lab) -> None:
    url = address(lab, "platform", lab.settings.learner.id)
    said = git(lab, "ls-remote", url, check=False)
    assert said.startswith("exit 128") and "403" in said
    assert "refs/heads/main" in git(lab, "ls-remote", address(lab, "platform", INSTRUCTOR))


@pytest.mark.restores
def test_flux_may_read_but_not_push(lab: Lab, tmp_path: Path) -> None:
    for repository in (lab.settings.learner_repository, "platform"):
        url = address(lab, repository, FLUX)
        head = git(lab, "ls-remote", url, "refs/heads/main")
        clone = tmp_path / repository
        git(lab, "clone", "--quiet", url, str(clone))
        said = git(lab, "push", "origin", "HEAD:refs/heads/intruder", cwd=clone, check=False)
        assert not said.startswith("exit 0") and "403" in said
        assert git(lab, "ls-remote", url, "refs/heads/main") == head
        assert "intruder" not in git(lab, "ls-remote", url)


@pytest.mark.restores
@pytest.mark.usefixtures("put_back")
def test_a_pushed_secret_arrives_and_the_receiver_hurries_it(lab: Lab, tmp_path: Path) -> None:
    clone = lab.learner(tmp_path)
    script = "scripts/sops-encrypt-secret.sh"
    lab.run(
        script, "develop", "backend-secrets", "--from-stdin", "token", cwd=clone, stdin="mellon"
    )
    kustomization = clone / "flux/secrets/develop/kustomization.yaml"
    kustomization.write_text(
        replaced(kustomization.read_text(), "# - backend-secrets.yaml", "- backend-secrets.yaml")
    )
    lab.run("git", "add", "flux/secrets/develop", cwd=clone)
    lab.run("git", "commit", "--quiet", "--message", "Add backend-secrets", cwd=clone)
    pushed = datetime.now(UTC)
    lab.run("git", "push", "--quiet", cwd=clone)
    wait_until(
        lambda: "backend-secrets" in lab.kubectl("-n", "develop", "get", "secret", "-o", "name"),
        "backend-secrets is in the cluster",
        seconds=50,
    )
    found = json.loads(lab.kubectl("-n", "develop", "get", "secret", "backend-secrets", "-ojson"))
    assert base64.b64decode(found["data"]["token"]) == b"mellon"
    source = json.loads(
        lab.kubectl("-n", "flux-system", "get", "gitrepository", lab.settings.learner.id, "-ojson")
    )
    # Only a request sets this field; Flux's own polls, once a minute, do not. The time has the form
    # in which Go prints it.
    moment = source["status"]["lastHandledReconcileAt"]
    assert " +0000 UTC" in moment
    handled = datetime.fromisoformat(f"{moment[:26]}+00:00")
    assert handled > pushed
    assert source["status"]["artifact"]["revision"].endswith(lab.head())


@pytest.mark.restores
def test_what_is_private_is_readable_by_its_owner_only(lab: Lab) -> None:
    top = Path(lab.settings.lab_dir)
    private = [
        top / "kubeconfig",
        *(top / "keys").glob("*.agekey"),
        *(top / "git" / "credentials").glob("*/*"),
        *(top / "log").iterdir(),
    ]
    assert len(private) > 12
    modes = {str(path): stat.S_IMODE(path.lstat().st_mode) for path in private}
    assert [path for path, mode in modes.items() if mode != 0o600] == []
    # The Git server reads these files by its group.
    for path in (top / "git" / "htpasswd", top / "git" / "receiver" / "token"):
        assert stat.S_IMODE(path.lstat().st_mode) == 0o640, path
        assert path.lstat().st_gid == (os.getgid() or GIT_SERVER_USER), path
    for folder in (top, top / "keys", top / "log", top / "git" / "credentials"):
        assert stat.S_IMODE(folder.lstat().st_mode) == 0o700, folder


@pytest.mark.restores
def test_the_users_own_kubeconfigs_are_left_alone(lab: Lab) -> None:
    files: dict[Path, bytes] = lab.birth["kubeconfigs"]
    assert {path.name for path in files} == {"config", "config.lock", "production"}
    for path, content in files.items():
        assert path.read_bytes() == content
    assert not list(lab.folder.rglob("production.lock"))


@pytest.mark.restores
def test_no_secret_is_seen_in_logs_answers_arguments_or_containers(lab: Lab) -> None:
    # Another test may have made the cluster anew since the first run, and with it the client key.
    first = {f"{name} at first": value for name, value in lab.birth["secrets"].items()}
    secrets = {**secrets_of(lab), **first}
    assert len(secrets) == 18 and all(len(value) >= 20 for value in secrets.values())
    places = {
        f"log {path.name}": path.read_bytes()
        for path in (Path(lab.settings.lab_dir) / "log").iterdir()
    }
    places["answer"] = json.dumps(lab.birth["answer"]).encode()
    places["command lines"] = b"\n".join(lab.birth["command_lines"])
    # The watch must have seen the run, or the test would prove nothing.
    for seen in (b"sopslab.run.start", b"kind\0create"):
        assert seen in places["command lines"]
    for container in (lab.node, lab.git_server):
        places[container] = run(["docker", "inspect", container]).stdout.encode()
        done = run(["docker", "logs", container])
        places[f"log of {container}"] = (done.stdout + done.stderr).encode()
    for controller in ("source", "kustomize", "notification"):
        places[controller] = lab.kubectl(
            "-n", "flux-system", "logs", f"deployment/{controller}-controller", "--tail=-1"
        ).encode()
    leaks = [
        f"{name} in {place}"
        for name, value in secrets.items()
        for place, text in places.items()
        if value in text or base64.b64encode(value) in text
    ]
    assert leaks == []


@pytest.mark.restores
@pytest.mark.parametrize("controller", ["source-controller", "notification-controller"])
def test_a_controller_cannot_log_in_as_another(controller: str, lab: Lab) -> None:
    asked = ("auth", "can-i", "--all-namespaces", "--as")
    account = f"system:serviceaccount:flux-system:{controller}"
    # The account of the controller exists: it has the rights with which the controller works.
    said = lab.kubectl(*asked, account, "get", "secrets")
    assert said.strip() == "yes"
    said = lab.kubectl(*asked, account, "create", "serviceaccounts/token", check=False)
    assert said.strip() == "no"


@pytest.mark.restores
def test_flux_reconciles_itself_from_the_platform_repository(lab: Lab, tmp_path: Path) -> None:
    clone = tmp_path / "platform"
    git(lab, "clone", "--quiet", address(lab, "platform", INSTRUCTOR), str(clone))
    listing = git(lab, "ls-files", FLUX_SYSTEM, cwd=clone)
    for name in ("gotk-components.yaml", "gotk-sync.yaml", "kustomization.yaml"):
        assert f"{FLUX_SYSTEM}/{name}" in listing
    root = json.loads(
        lab.kubectl("-n", "flux-system", "get", "kustomization", "flux-system", "-ojson")
    )
    assert root["spec"]["path"] == "./flux/clusters/lab"

    def labelled() -> bool:
        return "source-controller" in lab.kubectl(
            "-n", "flux-system", "get", "deployment", "-l", "proof=pushed", "-o", "name"
        )

    def push(message: str) -> None:
        who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        git(lab, *who, "commit", "--quiet", "--all", "--message", message, cwd=clone)
        git(lab, "push", "--quiet", "origin", "HEAD:main", cwd=clone)

    file = clone / FLUX_SYSTEM / "kustomization.yaml"
    before = file.read_text()
    file.write_text(
        before
        + "  - target: {kind: Deployment, name: source-controller}\n"
        + "    patch: |\n"
        + "      - {op: add, path: /metadata/labels/proof, value: pushed}\n"
    )
    assert not labelled()
    push("Label a controller")
    wait_until(labelled, "Flux applies what was pushed to its own repository", seconds=60)
    file.write_text(before)
    push("Take the label off again")
    wait_until(lambda: not labelled(), "Flux takes the label off again", seconds=60)


@pytest.mark.restores
def test_the_controllers_are_locked_down(lab: Lab) -> None:
    def arguments(controller: str) -> list[str]:
        found = json.loads(
            lab.kubectl("-n", "flux-system", "get", "deployment", controller, "-ojson")
        )
        return list(found["spec"]["template"]["spec"]["containers"][0]["args"])

    assert {
        "--no-cross-namespace-refs=true",
        "--no-remote-bases=true",
        "--default-service-account=default",
    } <= set(arguments("kustomize-controller"))
    assert "--no-cross-namespace-refs=true" in arguments("notification-controller")


@pytest.mark.restores
def test_the_network_policies_of_flux_are_enforced(lab: Lab) -> None:
    artifacts, traffic = f"http://{ARTIFACT_ADDRESS}/", Traffic(lab)
    default = ("kubectl", "-n", "default")
    lab.run(*default, "create", "-f", "-", stdin=json.dumps(pod("neighbour")))
    try:
        lab.run(*default, "wait", "--for=condition=Ready", "pod/neighbour", "--timeout=60s")
        neighbour = traffic.pod("default", "neighbour")
        assert traffic.reaches(artifacts), "from the node, to which no policy applies"
        assert traffic.reaches("https://10.96.0.1/", neighbour), "the pod has a network"
        wait_until(lambda: not traffic.reaches(artifacts, neighbour), "artifacts are refused", 20)
    finally:
        lab.run(*default, "delete", "pod/neighbour", "--wait=false")


@pytest.mark.restores
def test_only_the_environments_own_account_reaches_its_secrets(lab: Lab) -> None:
    def may(account: str, verb: str, namespace: str) -> str:
        who = f"--as=system:serviceaccount:{account}"
        return lab.kubectl(
            "auth", "can-i", verb, "secrets", "-n", namespace, who, check=False
        ).strip()

    for account in ("flux-system:default", "develop:default"):
        for namespace in ("flux-system", "develop", "kube-system"):
            assert may(account, "get", namespace) == "no"
            assert may(account, "list", namespace) == "no"
    assert may("flux-system:secrets-develop", "create", "develop") == "yes"
    assert may("flux-system:secrets-develop", "get", "flux-system") == "no"


@pytest.mark.restores
def test_the_node_and_the_server_listen_on_loopback_only(lab: Lab) -> None:
    for container in (lab.node, lab.git_server):
        ports = json.loads(run(["docker", "inspect", container]).stdout)[0]
        bound = ports["NetworkSettings"]["Ports"].values()
        addresses = {entry["HostIp"] for entries in bound for entry in entries or ()}
        assert addresses == {"127.0.0.1"}


@pytest.mark.restores
@pytest.mark.usefixtures("put_back")
def test_what_a_learner_pushed_is_never_overwritten(lab: Lab, tmp_path: Path) -> None:
    head = lab.push_notes(tmp_path)
    wait_until(lambda: lab.flux_applied(head), "Flux applies the learner's commit", seconds=60)
    work = Path(lab.settings.work_dir)
    (work / "draft.md").write_text("not committed\n")
    answer = lab.up()
    assert (answer["changed"], lab.changes(answer)) == (0, [])
    assert lab.head() == head
    assert (work / "draft.md").read_text() == "not committed\n"


@pytest.mark.soak
@pytest.mark.restores
@pytest.mark.usefixtures("put_back")
def test_the_learner_puts_the_repository_back_by_a_push(lab: Lab, tmp_path: Path) -> None:
    start = run(["git", "rev-parse", "refs/lab/start"], cwd=lab.bare).stdout.strip()
    clone = lab.learner(tmp_path)
    lab.run("git", "commit", "--quiet", "--allow-empty", "-m", "mine", cwd=clone)
    lab.run("git", "push", "--quiet", cwd=clone)
    mine = lab.head()
    assert mine != start
    said = lab.run("git", "push", "origin", "HEAD:reset", cwd=clone).stderr
    assert "kept on the branch saved/" in said
    assert lab.head() == start
    kept = run(["git", "branch", "--contains", mine], cwd=lab.bare).stdout
    assert "saved/" in kept
