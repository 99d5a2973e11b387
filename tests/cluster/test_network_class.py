"""A class that connects over the network: all that leaves the machine is TLS."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.classroom import Classroom
from tests.cluster.lab import Lab, lab_name, run, wait_until
from tests.cluster.test_rotate import rotate

SEAT = "ada"


def address_of_this_machine() -> str:
    """Return an IPv4 address that is not loopback's: Docker's own bridge, or any other."""
    found = json.loads(run(["ip", "-json", "-4", "address", "show", "scope", "global"]).stdout)
    addresses = {link["ifname"]: link["addr_info"][0]["local"] for link in found}
    return str(addresses.get("docker0") or next(iter(addresses.values())))


@pytest.fixture(scope="module")
def networked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classroom]:
    """A class of one at an address of this machine that is not loopback's."""
    folder = tmp_path_factory.mktemp("net")
    lab = Lab(lab_name("net"), folder, {"git_bind": address_of_this_machine()})
    lab.remove()
    classroom = Classroom(lab)
    try:
        classroom.up(ids=(SEAT,))
        yield classroom
    finally:
        lab.remove()


def _plain() -> dict[str, str]:
    """Return this environment without what configures git; GIT_SSL_CAINFO would go first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _git(
    classroom: Classroom, *arguments: str, authority: str | None, check: bool = True
) -> tuple[int, str]:
    """Run git as a learner does on another machine: with a login, and nothing of this lab."""
    trusting = [] if authority is None else ["-c", f"http.sslCAInfo={authority}"]
    login = classroom.login(SEAT)
    done = run(["git", *trusting, *login, *arguments], env=_plain(), check=check)
    return done.returncode, done.stdout + done.stderr


def _flux(classroom: Classroom, kind: str, name: str, namespace: str) -> tuple[str, str]:
    """Return Flux's Ready and, of a GitRepository, its URL."""
    found = json.loads(classroom.lab.kubectl("-n", namespace, "get", kind, name, "-o", "json"))
    ready = [one["status"] for one in found["status"]["conditions"] if one["type"] == "Ready"]
    return ready[0], found["spec"].get("url", "")


def test_a_learner_who_trusts_the_authority_clones_and_pushes(
    networked: Classroom, tmp_path: Path
) -> None:
    settings = networked.lab.settings
    assert networked.url(SEAT).startswith(f"https://{settings.git_bind}:")
    authority = str(tmp_path / "ca.crt")
    Path(authority).write_bytes(Path(str(settings.git_authority)).read_bytes())

    clone = tmp_path / "clone"
    _git(networked, "clone", "--quiet", networked.url(SEAT), str(clone), authority=authority)
    assert (clone / "lab.md").is_file()
    who = ["-C", str(clone), "-c", f"user.name={SEAT}", "-c", f"user.email={SEAT}@example.org"]
    _git(networked, *who, "commit", "-qm", "Try", "--allow-empty", authority=authority)
    _git(networked, *who, "push", "--quiet", authority=authority)
    head = run(["git", "rev-parse", "HEAD"], cwd=clone).stdout.strip()
    assert networked.head(SEAT) == head

    # The hook reaches Flux as ever, and Flux the repository.
    def applied() -> bool:
        revision = networked.lab.kubectl(
            "-n", f"lab-{SEAT}-sys", "get", "kustomization", "secrets-develop",
            "-o", "jsonpath={.status.lastAppliedRevision}",
        )  # fmt: skip
        return head in revision

    wait_until(applied, "Flux applies what was pushed")


def test_a_learner_who_does_not_trust_it_sends_no_password(networked: Classroom) -> None:
    code, said = _git(networked, "ls-remote", networked.url(SEAT), authority=None, check=False)

    assert code != 0
    assert "certificate" in said


def test_nothing_answers_in_plain_http(networked: Classroom) -> None:
    plain = networked.url(SEAT).replace("https://", "http://")
    code, said = _git(networked, "ls-remote", plain, authority=None, check=False)
    answer = run(
        ["curl", "--silent", "--noproxy", "*", "--output", "/dev/null", "--write-out",
         "%{http_code}", plain], check=False,
    ).stdout  # fmt: skip

    assert code != 0, said
    assert answer in {"000", "400"}, "nobody is asked for a password without TLS"


@pytest.mark.parametrize(("option", "works"), [("--tls-max", False), ("--tlsv1.2", True)])
def test_old_versions_of_tls_are_refused(option: str, works: bool, networked: Classroom) -> None:
    settings = networked.lab.settings
    old = [option, "1.1"] if option == "--tls-max" else [option]
    done = run(
        ["curl", "--silent", "--noproxy", "*", "--output", "/dev/null", *old, "--cacert",
         str(settings.git_authority), f"{settings.git_base_url}/"], check=False,
    )  # fmt: skip
    assert (done.returncode == 0) is works


def test_flux_reads_over_tls_and_has_decrypted(networked: Classroom) -> None:
    ready, url = _flux(networked, "gitrepository", "lab", f"lab-{SEAT}-sys")
    assert (ready, url) == ("True", f"https://lab-net-git:8080/{SEAT}/lab.git")
    ready, url = _flux(networked, "gitrepository", "flux-system", "flux-system")
    assert (ready, url) == ("True", "https://lab-net-git:8080/platform.git")
    assert _flux(networked, "kustomization", "secrets-develop", f"lab-{SEAT}-sys")[0] == "True"
    assert networked.lab.kubectl(
        "-n", f"{SEAT}-develop", "get", "secret", "lab-canary", "-o", "jsonpath={.data.value}"
    )
    trusted = networked.lab.kubectl(
        "-n", f"lab-{SEAT}-sys", "get", "secret", "git-credentials",
        "-o", r"jsonpath={.data.ca\.crt}",
    )  # fmt: skip
    authority = Path(str(networked.lab.settings.git_authority))
    assert base64.b64decode(trusted) == authority.read_bytes()


def test_the_learners_kubeconfig_leads_to_the_same_address(networked: Classroom) -> None:
    shown = networked.kubectl_as(
        SEAT, "config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"
    )
    assert shown.stdout.startswith(f"https://{networked.lab.settings.git_bind}:")
    pods = networked.kubectl_as(SEAT, "-n", f"{SEAT}-develop", "get", "secret", "lab-canary")
    assert "lab-canary" in pods.stdout


def test_the_learner_who_is_here_works_without_further_ado(networked: Classroom) -> None:
    work = Path(networked.lab.settings.work_dir)
    assert run(["git", "fetch"], cwd=work, env=_plain()).returncode == 0


def test_keys_are_their_owners_alone(networked: Classroom) -> None:
    settings = networked.lab.settings
    for path, mode in (
        (Path(settings.tls_dir) / "ca.key", 0o600),
        (Path(settings.tls_dir) / "ca.crt", 0o644),
        # The Git server reads it by its group.
        (Path(settings.git_dir) / "tls" / "server.pem", 0o640),
    ):
        assert stat.S_IMODE(path.stat().st_mode) == mode, path
    assert not list(Path(settings.git_dir).rglob("ca.key"))


def test_up_again_changes_nothing(networked: Classroom) -> None:
    answer = networked.up(ids=(SEAT,))
    assert (answer["changed"], networked.lab.changes(answer)) == (0, [])


def test_what_is_lost_is_renewed_by_the_same_authority(networked: Classroom) -> None:
    settings = networked.lab.settings
    authority = Path(str(settings.git_authority)).read_bytes()
    (Path(settings.git_dir) / "tls" / "server.pem").unlink()
    networked.lab.kubectl(
        "-n", f"lab-{SEAT}-sys", "patch", "secret", "git-credentials", "--type", "json",
        "--patch", '[{"op": "remove", "path": "/data/ca.crt"}]',
    )  # fmt: skip

    changes = networked.lab.changes(networked.up(ids=(SEAT,)))
    assert Path(str(settings.git_authority)).read_bytes() == authority
    code, _ = _git(
        networked, "ls-remote", networked.url(SEAT), authority=settings.git_authority, check=False
    )
    assert code == 0
    assert any("Certify the Git server" in change for change in changes), changes
    assert any("keys" in change for change in changes), changes
    answer = networked.up(ids=(SEAT,))
    assert (answer["changed"], networked.lab.changes(answer)) == (0, [])


def test_an_environment_is_put_back_over_tls_by_its_learner_and_by_the_instructor(
    networked: Classroom, tmp_path: Path
) -> None:
    authority = str(networked.lab.settings.git_authority)
    clone = tmp_path / "clone"
    _git(networked, "clone", "--quiet", networked.url(SEAT), str(clone), authority=authority)
    who = ["-C", str(clone), "-c", f"user.name={SEAT}", "-c", f"user.email={SEAT}@example.org"]
    start = run(["git", "rev-parse", "refs/lab/start"], cwd=networked.bare(SEAT)).stdout.strip()

    _git(networked, *who, "commit", "-qm", "Try", "--allow-empty", authority=authority)
    _git(networked, *who, "push", "--quiet", authority=authority)
    _, said = _git(networked, *who, "push", "origin", "HEAD:reset", authority=authority)
    assert "is kept on the branch saved/" in said
    assert networked.head(SEAT) == start

    _git(networked, *who, "push", "--quiet", "--force", authority=authority)
    assert networked.head(SEAT) != start
    networked.lab.sopslab("reset", SEAT, "--json")
    assert networked.head(SEAT) == start
    assert networked.up(ids=(SEAT,))["changed"] == 0


@pytest.mark.parametrize("cause", ["cluster-key", "git-credential"])
def test_what_leaked_is_replaced_over_tls(networked: Classroom, cause: str) -> None:
    lab = networked.lab
    account = Path(lab.settings.account_dir(SEAT))
    key, password = lab.recipient(SEAT), (account / "password").read_text()
    rotate(lab, cause, SEAT)
    assert (lab.recipient(SEAT) != key) is (cause == "cluster-key")
    assert ((account / "password").read_text() != password) is (cause == "git-credential")
    code, said = _git(
        networked, "ls-remote", networked.url(SEAT), authority=lab.settings.git_authority
    )
    assert code == 0, said
    answer = networked.up(ids=(SEAT,))
    assert (answer["changed"], lab.changes(answer)) == (0, [])
