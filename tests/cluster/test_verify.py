"""`sopslab verify` on a real lab: the chapter, its mistakes, and what `verify` says about each."""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cluster.lab import Lab, wait_until
from tests.cluster.learner import FILE, KUSTOMIZATION, SECRET, Learner
from tests.marks import mostly_soak
from tests.texts import replaced

FLUX = ("-n", "flux-system")
ALL = [
    *("tools", "cluster", "flux", "key", "encrypted", "wired", "committed", "pushed", "source"),
    *("applied", "secret", "history", "hooks", "server"),
]


@pytest.fixture
def learner(lab: Lab, tmp_path: Path) -> Learner:
    """Return a learner with a fresh clone."""
    return Learner(lab, lab.learner(tmp_path))


@pytest.fixture(scope="module")
def finished(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learner]:
    """A learner who has done the exercise, once for all tests of mistakes."""
    head = lab.head()
    learner = Learner(lab, lab.learner(tmp_path_factory.mktemp("finished")))
    learner.finish()
    yield learner
    lab.reset_repository(head)
    lab.up()


@pytest.fixture
def done(finished: Learner, tmp_path: Path) -> Learner:
    """Return the learner who has done the exercise, with a clone to spoil."""
    clone = tmp_path / "clone"
    shutil.copytree(finished.work, clone, symlinks=True)
    return Learner(finished.lab, clone, dict(finished.values))


@pytest.mark.restores
def test_a_chapter_not_begun_is_told_how_to_begin(learner: Learner) -> None:
    answer = learner.verify()

    assert answer.code == 1
    assert not answer.told["ok"]
    assert [check["id"] for check in answer.told["checks"]] == ALL
    assert answer.first["id"] == "encrypted"
    assert "this is where the chapter begins" in answer.first["found"]
    assert answer.first["next"] == f"scripts/sops-encrypt-secret.sh develop {SECRET}"
    assert [name for name in ALL if answer.status(name) == "not-run"] == [
        *("wired", "committed", "pushed", "source", "applied", "secret")
    ]


@pytest.mark.restores
def test_from_elsewhere_the_labs_own_clone_is_looked_at(learner: Learner, tmp_path: Path) -> None:
    learner.work, clone = tmp_path, learner.work
    answer = learner.verify()
    work = learner.lab.settings.work_dir

    assert answer.told["clone"] == work != str(clone)
    assert answer.first["next"].startswith(f"cd {work} && scripts/sops-encrypt-secret.sh")


@pytest.mark.restores
@pytest.mark.usefixtures("put_back")
def test_each_step_of_the_chapter_moves_the_first_failure(learner: Learner) -> None:
    for step, expected in (
        (learner.encrypt, "wired"),
        (learner.wire, "committed"),
        (learner.commit, "pushed"),
    ):
        step()
        answer = learner.verify()
        assert (answer.code, answer.first["id"]) == (1, expected)
    learner.push()
    answer = learner.verify("--wait", "60")

    assert answer.code == 0, answer.told
    assert answer.told["ok"]
    assert {check["status"] for check in answer.told["checks"]} == {"ok"}


@pytest.mark.soak
@pytest.mark.restores
def test_the_text_and_the_junit_file_say_the_same(done: Learner, tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    shown = done.lab.run("sopslab", "verify", "--junit", str(file), cwd=done.work)

    done.see_nothing(shown.stdout + shown.stderr + file.read_text())
    lines = shown.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [["✓", name] for name in ALL]
    suite = ElementTree.parse(file).getroot().find("testsuite")
    assert suite is not None
    assert [case.get("name") for case in suite] == ALL
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "0", "0")


@pytest.mark.restores
def test_the_users_own_variables_do_not_matter(done: Learner, tmp_path: Path) -> None:
    traps = {
        "KUBECONFIG": str(tmp_path / "production"),
        "SOPS_AGE_KEY_FILE": str(tmp_path / "none"),
        "SOPS_AGE_KEY": "nonsense",
        "SOPS_CONFIG": str(tmp_path / "none"),
        "GIT_DIR": str(tmp_path / "none"),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    answer = subprocess.run(
        ["sopslab", "verify", "--json"],
        env={**done.lab.environment, **traps},
        cwd=done.work,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert answer.returncode == 0, answer.stdout + answer.stderr


def _no_key(learner: Learner) -> None:
    learner.lab.kubectl(*FLUX, "delete", "secret", "sops-age")


def _give_key(learner: Learner, identity: str, entry: str = "age.agekey") -> None:
    encoded = base64.b64encode(identity.encode()).decode()
    patch = [{"op": "replace", "path": "/data", "value": {entry: encoded}}]
    learner.lab.kubectl(
        *FLUX, "patch", "secret", "sops-age", "--type", "json", "--patch", json.dumps(patch)
    )


def _wrong_key(learner: Learner) -> None:
    _give_key(learner, learner.run("age-keygen"))


def _damaged_key(learner: Learner) -> None:
    _give_key(learner, learner.run("age-keygen").strip()[:-1] + "\n")


def _misnamed_key(learner: Learner) -> None:
    settings = learner.lab.settings
    own = Path(settings.keys_dir, f"{settings.learner.id}.agekey").read_text()
    _give_key(learner, own, "age.key")


def _not_wired(learner: Learner) -> None:
    path = learner.work / KUSTOMIZATION
    path.write_text(replaced(path.read_text(), f"- {SECRET}.yaml", f"# - {SECRET}.yaml"))


def _wrong_recipient(learner: Learner) -> None:
    stranger = learner.run("age-keygen", "-y", stdin=learner.run("age-keygen")).strip()
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET, "namespace": "develop"},
        "stringData": learner.values,
    }
    encrypted = learner.run(
        *("sops", "--config", "/dev/null", "encrypt", "--age", stranger),
        *("--encrypted-regex", "^(data|stringData)$", "--input-type", "json"),
        *("--output-type", "yaml", "/dev/stdin"),
        stdin=json.dumps(manifest),
    )
    (learner.work / FILE).write_text(encrypted)


def _edited(learner: Learner) -> None:
    path = learner.work / FILE
    name = f"    name: {SECRET}\n"
    assert name in path.read_text()
    path.write_text(path.read_text().replace(name, f"{name}    annotations: {{edited: yes}}\n"))


def _moved(learner: Learner) -> None:
    path = learner.work / FILE
    path.write_text(replaced(path.read_text(), "namespace: develop", "namespace: default"))


def _other_rule(learner: Learner) -> None:
    instructor = Path(learner.lab.settings.keys_dir, "instructor.pub").read_text().strip()
    path = learner.work / ".sops.yaml"
    lines = [line for line in path.read_text().splitlines() if instructor not in line]
    path.write_text("\n".join(lines) + "\n")


def _not_committed(learner: Learner) -> None:
    path = learner.work / KUSTOMIZATION
    path.write_text(path.read_text() + "# a note\n")


def _not_pushed(learner: Learner) -> None:
    _not_committed(learner)
    learner.commit()


def _suspended(learner: Learner) -> None:
    learner.lab.kubectl(
        *FLUX, "patch", "kustomization", "secrets-develop", "--type", "merge",
        "--patch", '{"spec":{"suspend":true}}',
    )  # fmt: skip


def _unlocked(learner: Learner) -> None:
    found = json.loads(
        learner.lab.kubectl(*FLUX, "get", "deployment", "kustomize-controller", "-o", "json")
    )
    arguments = found["spec"]["template"]["spec"]["containers"][0]["args"]
    patch = [
        {
            "op": "remove",
            "path": "/spec/template/spec/containers/0/args/"
            + str(arguments.index("--no-remote-bases=true")),
        }
    ]
    learner.lab.kubectl(
        *FLUX, "patch", "deployment", "kustomize-controller", "--type", "json",
        "--patch", json.dumps(patch),
    )  # fmt: skip


def _drifted(learner: Learner) -> None:
    # Without the annotation, Flux might put the value back before `verify` looks.
    change = {
        "metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}},
        "stringData": {"API_TOKEN": "another"},
    }
    learner.lab.kubectl(
        "-n", "develop", "patch", "secret", SECRET, "--type", "merge", "--patch", json.dumps(change)
    )


def _leaked(learner: Learner) -> None:
    leak = learner.work / "deploy.yaml"
    leak.write_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: quick-fix}\n"
        f"stringData: {{token: {secrets.token_hex(16)}}}\n"
    )
    learner.run("git", "add", leak.name)
    learner.run("git", "commit", "--quiet", "--no-verify", "-m", "Fix the deploy")
    learner.run("git", "rm", "--quiet", leak.name)
    learner.run("git", "commit", "--quiet", "--no-verify", "-m", "Revert it")


def _no_hook(learner: Learner) -> None:
    (learner.work / ".git" / "hooks" / "pre-commit").unlink()


def _no_hook_id(learner: Learner) -> None:
    path = learner.work / ".pre-commit-config.yaml"
    path.write_text(replaced(path.read_text(), "id: no-secrets", "id: some-secrets"))


MISTAKES: dict[str, tuple[Callable[[Learner], None], str, str, str]] = {
    # mistake, failing check, part of the sentence, part of the next step
    "sops-age is missing": (_no_key, "key", "no Secret sops-age", "sops-setup.sh --create-secret"),
    "another key in the cluster": (_wrong_key, "key", "encrypted to", "sops-setup.sh --create"),
    "a damaged key in the cluster": (_damaged_key, "key", "no valid age identity", "--create"),
    "an entry of another name": (_misnamed_key, "key", "ends in .agekey", "--create-secret"),
    "the instructor left out": (_other_rule, "key", "leaves out the instructor", "git checkout"),
    "not wired": (_not_wired, "wired", "uncomment line", KUSTOMIZATION),
    "for a stranger": (_wrong_recipient, "encrypted", "not encrypted to the", "--force"),
    "edited ciphertext": (_edited, "encrypted", "its MAC does not fit", "--force"),
    "moved to another namespace": (_moved, "encrypted", "namespace develop", "--force"),
    "not committed": (_not_committed, "committed", "is not committed", "git commit"),
    "not pushed": (_not_pushed, "pushed", "is not pushed", "git push"),
    "suspended": (_suspended, "flux", "suspended", "resume kustomization secrets-develop"),
    "a lockdown flag taken off": (_unlocked, "flux", "--no-remote-bases=true", "sopslab up"),
    "another value in the cluster": (_drifted, "secret", "API_TOKEN", "reconcile"),
    "no commit hook": (_no_hook, "hooks", "no commit is checked", "pre-commit install"),
    "a hook taken out": (_no_hook_id, "hooks", "no-secrets", "git checkout"),
}  # fmt: skip


# The mistakes in the cluster; the others are in the clone, which is thrown away.
IN_CLUSTER = (_no_key, _wrong_key, _damaged_key, _misnamed_key, _suspended, _drifted)


@pytest.fixture
def repaired(done: Learner) -> Iterator[None]:
    """Afterwards, put the key, the Kustomization and the Secret back, and wait for Flux."""
    yield
    lab = done.lab
    lab.kubectl(
        *FLUX, "patch", "kustomization", "secrets-develop", "--type", "merge",
        "--patch", '{"spec":{"suspend":null}}',
    )  # fmt: skip
    lab.kubectl("-n", "develop", "delete", "secret", SECRET, "--ignore-not-found")
    done.run("scripts/sops-setup.sh", "--create-secret")
    lab.run("flux", *FLUX, "reconcile", "kustomization", "secrets-develop", "--timeout", "60s")


@pytest.mark.restores
@pytest.mark.usefixtures("repaired")
@pytest.mark.parametrize(
    "mistake",
    mostly_soak(
        [name for name, (make, *_) in MISTAKES.items() if make in IN_CLUSTER],
        *("another key in the cluster", "suspended"),
    ),
)
def test_a_mistake_in_the_cluster_is_named_with_what_to_do(mistake: str, done: Learner) -> None:
    assert_named(mistake, done)


@pytest.mark.soak
def test_a_lockdown_flag_taken_off_is_named_with_what_to_do(done: Learner) -> None:
    assert_named("a lockdown flag taken off", done)


@pytest.mark.restores
@pytest.mark.parametrize(
    "mistake",
    mostly_soak(
        [name for name, (make, *_) in MISTAKES.items() if make not in (*IN_CLUSTER, _unlocked)],
        *("not wired", "for a stranger", "not pushed", "a hook taken out"),
    ),
)
def test_a_mistake_in_the_clone_is_named_with_what_to_do(mistake: str, done: Learner) -> None:
    assert_named(mistake, done)


def assert_named(mistake: str, done: Learner) -> None:
    """Assert that `verify` names a mistake first, and says what helps."""
    make, name, found, next_step = MISTAKES[mistake]
    make(done)
    answer = done.verify()

    assert answer.code == 1
    assert answer.first["id"] == name, answer.told
    assert answer.first["status"] == "failed"
    assert found in answer.first["found"]
    assert next_step in answer.first["next"]


@pytest.mark.restores
@pytest.mark.usefixtures("repaired")
def test_following_the_advice_mends_a_missing_key(done: Learner) -> None:
    _no_key(done)
    advice = done.verify().first["next"]
    done.run("sh", "-c", advice)

    assert done.verify("--wait", "30").code == 0


@pytest.mark.restores
def test_plain_text_stays_in_the_history_after_a_revert(done: Learner) -> None:
    _leaked(done)
    history = done.verify().by_id["history"]

    assert history["status"] == "failed"
    assert "deploy.yaml, line 4" in history["found"]
    assert "rotation-plan.md" in history["found"]


@pytest.mark.soak
@pytest.mark.restores
def test_a_git_server_that_is_down_is_not_taken_for_success(done: Learner) -> None:
    lab = done.lab
    lab.run("docker", "stop", "--time", "2", lab.git_server)
    try:
        answer = done.verify()
    finally:
        lab.run("docker", "start", lab.git_server)
        wait_until(lambda: done.verify().status("server") == "ok", "the Git server is back")

    assert answer.code == 2
    assert answer.status("pushed") == "unknown"
    assert answer.status("server") == "failed"
    assert answer.by_id["server"]["next"] == "sopslab up"


@pytest.mark.soak
@pytest.mark.restores
def test_a_stopped_node_is_named_in_bounded_time(done: Learner) -> None:
    lab = done.lab
    lab.run("docker", "pause", lab.node)
    try:
        answer = done.verify()
    finally:
        lab.run("docker", "unpause", lab.node)

    assert answer.code == 1
    assert answer.first["id"] == "cluster"
    assert answer.first["next"] == "sopslab up"
    assert answer.by_id["cluster"]["seconds"] < 20
    assert answer.status("applied") == "not-run"
