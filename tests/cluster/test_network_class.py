"""A class that connects over the network: everything that leaves the machine is TLS."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from sopslab.config.naming import git_server_name
from sopslab.config.places import GIT_SERVER_PORT
from sopslab.layout import RECEIVER_PORT
from tests.cluster.classroom import Classroom
from tests.cluster.lab import Lab, lab_name, run, wait_until
from tests.cluster.neighbour import (
    LOOPBACK,
    Neighbour,
    address_of,
    address_of_this_machine,
    gateway_of,
    listening_ports,
    neighbourhood,
)
from tests.cluster.raw_http import SEAT, requests, smuggled, statuses
from tests.cluster.scan import scan
from tests.cluster.test_rotate import rotate

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Neighbour]:
    """Another machine on the same network."""
    with neighbourhood() as there:
        yield there


@pytest.fixture(scope="module")
def before(neighbour: Neighbour) -> set[int]:
    """The ports that the neighbour reaches without a lab: this machine's own."""
    return set(neighbour.scan(address_of_this_machine()))


@pytest.fixture(scope="module")
def networked(tmp_path_factory: pytest.TempPathFactory, before: set[int]) -> Iterator[Classroom]:
    """A class of one, at an address of this machine other than loopback."""
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
    """Return this environment without variables of git; GIT_SSL_CAINFO would override settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _git(
    classroom: Classroom, *arguments: str, ca: str | None, check: bool = True
) -> tuple[int, str]:
    """Run git as a learner does on another machine: with a login, but without this lab's files."""
    trusting = [] if ca is None else ["-c", f"http.sslCAInfo={ca}"]
    login = classroom.login(SEAT)
    done = run(["git", *trusting, *login, *arguments], env=_plain(), check=check)
    return done.returncode, done.stdout + done.stderr


def _flux(classroom: Classroom, kind: str, name: str, namespace: str) -> tuple[str, str]:
    """Return the status of an object's condition Ready and, for a GitRepository, its URL."""
    found = json.loads(classroom.lab.kubectl("-n", namespace, "get", kind, name, "-o", "json"))
    ready = [one["status"] for one in found["status"]["conditions"] if one["type"] == "Ready"]
    return ready[0], found["spec"].get("url", "")


def test_a_learner_who_trusts_the_ca_clones_and_pushes(
    networked: Classroom, tmp_path: Path
) -> None:
    settings = networked.lab.settings
    assert networked.url(SEAT).startswith(f"https://{settings.git_bind}:")
    ca = str(tmp_path / "ca.crt")
    Path(ca).write_bytes(Path(str(settings.git_ca)).read_bytes())

    clone = tmp_path / "clone"
    _git(networked, "clone", "--quiet", networked.url(SEAT), str(clone), ca=ca)
    assert (clone / "lab.md").is_file()
    who = ["-C", str(clone), "-c", f"user.name={SEAT}", "-c", f"user.email={SEAT}@example.org"]
    _git(networked, *who, "commit", "-qm", "Try", "--allow-empty", ca=ca)
    _git(networked, *who, "push", "--quiet", ca=ca)
    head = run(["git", "rev-parse", "HEAD"], cwd=clone).stdout.strip()
    assert networked.head(SEAT) == head

    # The hook still reaches Flux, and Flux reaches the repository.
    def applied() -> bool:
        revision = networked.lab.kubectl(
            "-n", f"lab-{SEAT}-sys", "get", "kustomization", "secrets-develop",
            "-o", "jsonpath={.status.lastAppliedRevision}",
        )  # fmt: skip
        return head in revision

    wait_until(applied, "Flux applies what was pushed")


def test_a_learner_who_does_not_trust_it_sends_no_password(networked: Classroom) -> None:
    code, said = _git(networked, "ls-remote", networked.url(SEAT), ca=None, check=False)

    assert code != 0
    assert "certificate" in said


def test_nothing_answers_in_plain_http(networked: Classroom) -> None:
    plain = networked.url(SEAT).replace("https://", "http://")
    code, said = _git(networked, "ls-remote", plain, ca=None, check=False)
    answer = run(
        ["curl", "--silent", "--noproxy", "*", "--output", "/dev/null", "--write-out",
         "%{http_code}", plain], check=False,
    ).stdout  # fmt: skip

    assert code != 0, said
    assert answer in {"000", "400"}, "nobody is asked for a password without TLS"


@pytest.fixture(scope="module")
def ports(networked: Classroom) -> dict[str, int]:
    """The ports that learners are told: of the Git server and of the API server."""
    server = networked.lab.kubectl(
        "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"
    )
    return {"git": networked.lab.settings.git_port, "api": int(server.rpartition(":")[2])}


def old_tls() -> ssl.SSLContext:
    """Return a client that speaks only versions of TLS before 1.2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _only_old(context)
    return context


def _only_old(context: ssl.SSLContext) -> None:
    # Debian's default level would refuse these versions before the client asks a server.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1


def spoken(address: str, port: int, context: ssl.SSLContext) -> str | None:
    """Return the version of TLS on which client and server agree; None if they do not agree."""
    with socket.create_connection((address, port), timeout=10) as connection:
        try:
            with context.wrap_socket(connection) as secure:
                return secure.version()
        except (ssl.SSLError, ConnectionResetError):
            return None


@contextmanager
def old_server(certificate: Path) -> Iterator[int]:
    """Listen on loopback with a certificate, in old versions of TLS only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    _only_old(context)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_shake_hands, args=(listening, context), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(timeout=10)


def _shake_hands(listening: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = listening.accept()
    with connection, context.wrap_socket(connection, server_side=True):
        pass


def test_old_versions_of_tls_are_refused(networked: Classroom, ports: dict[str, int]) -> None:
    settings = networked.lab.settings
    # The client connects to a server with old versions, so it is not the client that refuses.
    with old_server(Path(settings.git_dir) / "tls" / "server.pem") as port:
        assert spoken("127.0.0.1", port, old_tls()) == "TLSv1.1"

    new = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    new.check_hostname, new.verify_mode = False, ssl.CERT_NONE
    for name, port in ports.items():
        assert spoken(settings.git_bind, port, old_tls()) is None, name
        assert spoken(settings.git_bind, port, new) == "TLSv1.3", name
        new.maximum_version = ssl.TLSVersion.TLSv1_2
        assert spoken(settings.git_bind, port, new) == "TLSv1.2", name
        new.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED


def test_a_neighbour_finds_the_git_server_and_the_api_server_and_nothing_else(
    networked: Classroom, ports: dict[str, int], neighbour: Neighbour, before: set[int]
) -> None:
    lab = networked.lab
    found = set(neighbour.scan(lab.settings.git_bind))
    assert found - before == set(ports.values())

    for container, inside in (
        (lab.node, [*listening_ports(lab), RECEIVER_PORT]),
        (lab.git_server, [GIT_SERVER_PORT]),
    ):
        address = address_of(container, lab.network)
        # All of them answer this machine, or the test would prove nothing.
        assert set(scan(address, inside)) == set(inside)
        assert neighbour.scan(address, inside) == [], container
    assert neighbour.scan(LOOPBACK, ports.values()) == []


def test_a_learner_connects_from_there(
    networked: Classroom, ports: dict[str, int], neighbour: Neighbour
) -> None:
    address, ca = networked.lab.settings.git_bind, networked.lab.settings.git_ca
    login = (Path(networked.lab.settings.account_dir(SEAT)) / "git-credentials").read_text()
    # curl reads its configuration on standard input: the password is in no argument.
    asked = neighbour.run(
        "curl", "--silent", "--noproxy", "*", "--cacert", str(ca), "--config", "-",
        f"{networked.url(SEAT)}/info/refs?service=git-upload-pack",
        stdin=f"user = {json.dumps(_user_of(login))}\n",
    )  # fmt: skip
    assert "refs/heads/main" in asked.stdout
    assert neighbour.status(f"https://{address}:{ports['api']}/livez") == 200


IMPERSONATED = ("Impersonate-User: admin", "Impersonate-Group: system:masters")
FRONT_PROXY = ("X-Remote-User: admin", "X-Remote-Group: system:masters")
BEARERS = ("Authorization: Bearer abcdef.0123456789abcdef", "Authorization: Bearer null")


def test_no_header_makes_somebody_of_a_stranger(
    networked: Classroom, ports: dict[str, int], neighbour: Neighbour
) -> None:
    base = f"https://{networked.lab.settings.git_bind}:{ports['api']}"
    secrets = f"{base}/api/v1/namespaces/flux-system/secrets"
    for headers in (IMPERSONATED, FRONT_PROXY, *((bearer,) for bearer in BEARERS)):
        options = [word for header in headers for word in ("--header", header)]
        assert neighbour.status(secrets, *options) in {401, 403}, headers


def _user_of(credentials: str) -> str:
    """Return `user:password` of a line of git's credential store."""
    parts = urlsplit(credentials.splitlines()[0])
    return f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"


def test_without_a_password_the_git_server_answers_nothing(networked: Classroom) -> None:
    settings = networked.lab.settings
    for request in requests():
        told = statuses(settings, request, login=None)
        assert told and set(told) <= {400, 401, 405, 501}, (request, told)
    for request in smuggled():
        told = statuses(settings, request, login=None, patience=0.5)
        assert told and set(told) <= {400, 401, 501}, (request, told)


def test_with_a_password_the_git_server_answers_for_the_own_repository_alone(
    networked: Classroom,
) -> None:
    settings = networked.lab.settings
    login = _user_of((Path(settings.account_dir(SEAT)) / "git-credentials").read_text())
    own, *others = requests()
    assert statuses(settings, own, login) == [200]
    for request in others:
        told = statuses(settings, request, login)
        assert told and set(told) <= {400, 401, 403, 404, 405, 501}, (request, told)
    for request in smuggled():
        told = statuses(settings, request, login, patience=0.5)
        assert told and set(told) <= {400, 501}, (request, told)
    password = login.partition(":")[2]
    for user in ("instructor", f"{SEAT}\0", ""):
        assert statuses(settings, own, f"{user}:{password}") in ([400], [401]), user


def test_no_header_of_a_push_is_a_setting_of_a_program(
    networked: Classroom, tmp_path: Path
) -> None:
    """`Proxy:` would become HTTP_PROXY, a proxy by which the hook would tell Flux of the push."""
    gateway = gateway_of(networked.lab.network)
    ca = str(networked.lab.settings.git_ca)
    clone = tmp_path / "clone"
    _git(networked, "clone", "--quiet", networked.url(SEAT), str(clone), ca=ca)
    who = ["-C", str(clone), "-c", f"user.name={SEAT}", "-c", f"user.email={SEAT}@example.org"]
    _git(networked, *who, "commit", "-qm", "Try", "--allow-empty", ca=ca)
    with socket.create_server((gateway, 0)) as proxy:
        url = f"http://{gateway}:{proxy.getsockname()[1]}"
        # The container reaches that address, or the test would prove nothing.
        words = ["docker", "exec", networked.lab.git_server, "curl", "--silent", "--max-time", "1"]
        assert run([*words, url], check=False).returncode == 28
        proxy.accept()[0].close()

        headers = [
            f"http.extraHeader={name}: {url}" for name in ("Proxy", "Http-Proxy", "All-Proxy")
        ]
        options = [word for header in headers for word in ("-c", header)]
        _git(networked, *who, *options, "push", "--quiet", ca=ca)
        proxy.settimeout(2)
        with pytest.raises(TimeoutError):
            proxy.accept()


def test_a_card_leads_to_the_ca_and_to_the_kubeconfig(networked: Classroom, tmp_path: Path) -> None:
    """Run what a learner types from the card, but let curl read the password on standard input."""
    settings = networked.lab.settings
    cards = json.loads(networked.lab.sopslab("cards", "--json").stdout)
    page = Path(cards["cards"][0]["html"]).read_text()
    top = f"{settings.git_base_url}/~/"
    trusting, fetching = f"curl -fsSkO {top}ca.crt", f"curl -fsSO --cacert ca.crt -u {SEAT} {top}"
    assert trusting in page and f"{fetching}kubeconfig" in page
    run(trusting.split(), cwd=tmp_path, env=_plain())
    printed = run(
        ["openssl", "x509", "-in", "ca.crt", "-noout", "-fingerprint", "-sha256"], cwd=tmp_path
    ).stdout.strip()
    assert printed.partition("=")[2] in page.replace("<br>", "")
    password = Path(settings.account_dir(SEAT), "password").read_text()
    run(
        ["curl", "-fsSO", "--cacert", "ca.crt", "--config", "-", f"{top}kubeconfig"],
        cwd=tmp_path, env=_plain(), stdin=f"user = {json.dumps(f'{SEAT}:{password}')}\n",
    )  # fmt: skip
    assert networked.pods_with(tmp_path / "kubeconfig").returncode == 0


def test_flux_reads_over_tls_and_has_decrypted(networked: Classroom) -> None:
    server = git_server_name(networked.lab.name)
    ready, url = _flux(networked, "gitrepository", "lab", f"lab-{SEAT}-sys")
    assert (ready, url) == ("True", f"https://{server}:8080/{SEAT}/lab.git")
    ready, url = _flux(networked, "gitrepository", "flux-system", "flux-system")
    assert (ready, url) == ("True", f"https://{server}:8080/platform.git")
    assert _flux(networked, "kustomization", "secrets-develop", f"lab-{SEAT}-sys")[0] == "True"
    assert networked.lab.kubectl(
        "-n", f"{SEAT}-develop", "get", "secret", "lab-canary", "-o", "jsonpath={.data.value}"
    )
    trusted = networked.lab.kubectl(
        "-n", f"lab-{SEAT}-sys", "get", "secret", "git-credentials",
        "-o", r"jsonpath={.data.ca\.crt}",
    )  # fmt: skip
    ca = Path(str(networked.lab.settings.git_ca))
    assert base64.b64decode(trusted) == ca.read_bytes()


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
        # The Git server reads this file by its group.
        (Path(settings.git_dir) / "tls" / "server.pem", 0o640),
    ):
        assert stat.S_IMODE(path.stat().st_mode) == mode, path
    assert not list(Path(settings.git_dir).rglob("ca.key"))


def test_up_again_changes_nothing(networked: Classroom) -> None:
    answer = networked.up(ids=(SEAT,))
    assert (answer["changed"], networked.lab.changes(answer)) == (0, [])


def test_what_is_lost_is_renewed_by_the_same_ca(networked: Classroom) -> None:
    settings = networked.lab.settings
    ca = Path(str(settings.git_ca)).read_bytes()
    (Path(settings.git_dir) / "tls" / "server.pem").unlink()
    networked.lab.kubectl(
        "-n", f"lab-{SEAT}-sys", "patch", "secret", "git-credentials", "--type", "json",
        "--patch", '[{"op": "remove", "path": "/data/ca.crt"}]',
    )  # fmt: skip

    changes = networked.lab.changes(networked.up(ids=(SEAT,)))
    assert Path(str(settings.git_ca)).read_bytes() == ca
    code, _ = _git(networked, "ls-remote", networked.url(SEAT), ca=settings.git_ca, check=False)
    assert code == 0
    assert any("Certify the Git server" in change for change in changes), changes
    assert any(f"differed: {SEAT}" in change for change in changes), changes
    answer = networked.up(ids=(SEAT,))
    assert (answer["changed"], networked.lab.changes(answer)) == (0, [])


def test_an_environment_is_put_back_over_tls_by_its_learner_and_by_the_instructor(
    networked: Classroom, tmp_path: Path
) -> None:
    ca = str(networked.lab.settings.git_ca)
    clone = tmp_path / "clone"
    _git(networked, "clone", "--quiet", networked.url(SEAT), str(clone), ca=ca)
    who = ["-C", str(clone), "-c", f"user.name={SEAT}", "-c", f"user.email={SEAT}@example.org"]
    start = run(["git", "rev-parse", "refs/lab/start"], cwd=networked.bare(SEAT)).stdout.strip()

    _git(networked, *who, "commit", "-qm", "Try", "--allow-empty", ca=ca)
    _git(networked, *who, "push", "--quiet", ca=ca)
    _, said = _git(networked, *who, "push", "origin", "HEAD:reset", ca=ca)
    assert "is kept on the branch saved/" in said
    assert networked.head(SEAT) == start

    _git(networked, *who, "push", "--quiet", "--force", ca=ca)
    assert networked.head(SEAT) != start
    networked.lab.sopslab("reset", SEAT, "--json")
    assert networked.head(SEAT) == start
    assert networked.up(ids=(SEAT,))["changed"] == 0


def test_a_learner_asks_for_help_over_tls_and_the_instructor_clears_it(
    networked: Classroom, tmp_path: Path
) -> None:
    def asked() -> float | None:
        told = networked.lab.sopslab("status", "--json", check=False).stdout
        (since,) = [row["asked"] for row in json.loads(told)["class"] if row["seat"] == SEAT]
        return None if since is None else float(since)

    ca = str(networked.lab.settings.git_ca)
    clone = tmp_path / "clone"
    _git(networked, "clone", "--quiet", networked.url(SEAT), str(clone), ca=ca)
    _, said = _git(networked, "-C", str(clone), "push", "origin", "HEAD:help", ca=ca)

    assert networked.url(SEAT).startswith("https://")
    assert "Your instructor sees now that you ask for help." in said
    assert asked() is not None
    networked.lab.sopslab("helped", SEAT)
    assert asked() is None


@pytest.mark.parametrize("cause", ["cluster-key", "git-credential"])
def test_what_leaked_is_replaced_over_tls(networked: Classroom, cause: str) -> None:
    lab = networked.lab
    account = Path(lab.settings.account_dir(SEAT))
    key, password = lab.recipient(SEAT), (account / "password").read_text()
    rotate(lab, cause, SEAT)
    assert (lab.recipient(SEAT) != key) is (cause == "cluster-key")
    assert ((account / "password").read_text() != password) is (cause == "git-credential")
    code, said = _git(networked, "ls-remote", networked.url(SEAT), ca=lab.settings.git_ca)
    assert code == 0, said
    answer = networked.up(ids=(SEAT,))
    assert (answer["changed"], lab.changes(answer)) == (0, [])
