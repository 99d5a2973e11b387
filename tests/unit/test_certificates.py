"""The CA and the Git server's certificate, judged by the real openssl: made once, renewed in time,
refused if damaged, and worthless for anybody else's name."""

from __future__ import annotations

import contextlib
import os
import shutil
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sopslab.cards.card import fingerprint
from sopslab.checks.certificates import ServerCertificate, fault_of
from sopslab.config.places import GIT_SERVER_USER
from sopslab.config.settings import Settings
from sopslab.gitserver.server import tls_context
from sopslab.lab.observe.certificates import server_file, tls_state
from sopslab.model.certificates import TlsState
from sopslab.provision.operations import tls
from tests.beginnings import begin
from tests.fake import Applied

ADDRESS = "192.0.2.10"
BACKUP = "Restore it from your backup"


def openssl(*arguments: str | Path, check: bool = True, stdin: str = "") -> str:
    done = subprocess.run(
        ["openssl", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=check,
        env={**os.environ, "OPENSSL_CONF": "/dev/null"},
    )
    return done.stdout + done.stderr


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def settings(lab: Callable[..., Settings]) -> Settings:
    """A lab whose learners connect over the network, still without certificates."""
    return lab(git_bind=ADDRESS)


@pytest.fixture
def made(settings: Settings, beginnings: Path) -> Settings:
    """The lab with its CA and the certificate of its server, as `up` makes them."""

    def make() -> None:
        assert Applied(tls.ca, settings=settings).changed
        assert Applied(tls.certificate, settings=settings).changed

    begin(Path(settings.root), beginnings / "made", make)
    return settings


def state(settings: Settings) -> TlsState:
    found = tls_state(settings.for_machine)
    assert isinstance(found, TlsState)
    return found


def folder(settings: Settings) -> Path:
    return Path(settings.tls_dir)


def server(settings: Settings) -> Path:
    return Path(server_file(settings))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_keys_are_their_owners_alone_whatever_the_umask(settings: Settings, umask: int) -> None:
    before = os.umask(umask)
    try:
        assert Applied(tls.ca, settings=settings).changed
        assert Applied(tls.certificate, settings=settings).changed
    finally:
        os.umask(before)
    assert names(folder(settings)) == ["ca.crt", "ca.key"]
    assert names(server(settings).parent) == ["server.pem"]
    assert (folder(settings) / "ca.key").stat().st_mode & 0o777 == 0o600
    assert (folder(settings) / "ca.crt").stat().st_mode & 0o777 == 0o644
    assert server(settings).stat().st_mode & 0o777 == 0o600
    assert names(Path(settings.lab_dir)) == ["git", "tls"]


def test_what_was_made_is_left_alone(made: Settings) -> None:
    files = [folder(made) / "ca.key", folder(made) / "ca.crt", server(made)]
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in files]
    for operation in (tls.ca, tls.certificate):
        again = Applied(operation, settings=made)
        assert (again.changed, again.failed) == (False, False)
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in files] == before


def test_a_key_that_the_server_reads_by_its_group_is_left_alone(made: Settings) -> None:
    """The key looks like this once the server has been started."""
    group = GIT_SERVER_USER if os.getuid() == 0 else os.getgid()
    os.chown(server(made), -1, group)
    server(made).chmod(0o640)
    assert state(made).certificate is not None
    if os.getuid() == 0:
        os.chown(server(made), -1, group + 1)
        assert state(made).stale == "others could read its key"


def test_no_key_is_in_any_output(settings: Settings) -> None:
    for operation in (tls.ca, tls.certificate):
        run = Applied(operation, settings=settings)
        assert run.changed
        assert "PRIVATE KEY" not in run.stdout + run.stderr


def test_the_ca_may_sign_for_this_lab_only(made: Settings) -> None:
    text = openssl("x509", "-in", folder(made) / "ca.crt", "-noout", "-text")
    assert "CN = sops-lab lab" in text
    assert "X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:0" in text
    assert "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign" in text
    assert "X509v3 Name Constraints: critical" in text
    assert "ASN1 OID: prime256v1" in text
    assert state(made).ca is not None
    assert fingerprint((folder(made) / "ca.crt").read_text()) == state(made).ca


def test_the_certificate_is_for_every_name_of_the_server_and_a_year(made: Settings) -> None:
    text = openssl("x509", "-in", server(made), "-noout", "-text")
    assert f"IP Address:{ADDRESS}, IP Address:127.0.0.1, DNS:localhost, DNS:lab-git\n" in text
    assert "CA:FALSE" in text
    assert "TLS Web Server Authentication" in text
    dates = openssl("x509", "-in", server(made), "-noout", "-dates").splitlines()
    begin, end = (
        datetime.fromtimestamp(ssl.cert_time_to_seconds(line.split("=", 1)[1]), UTC)
        for line in dates
    )
    assert (end - begin).days <= 397


def handshake(settings: Settings, ca: Path, name: str) -> str | None:
    """Connect to a server with this certificate; return the client's objection, if any."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(server(settings))
    asking = ssl.create_default_context(cafile=str(ca))
    try:
        version = spoken(asking, serving, name)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    assert version in {"TLSv1.2", "TLSv1.3"}
    return None


def agreed(asking: ssl.SSLContext, serving: ssl.SSLContext) -> bool:
    """Return whether a client and a server have a version of TLS in common."""
    try:
        return spoken(asking, serving, "localhost") is not None
    except ssl.SSLError:
        return False


def spoken(asking: ssl.SSLContext, serving: ssl.SSLContext, name: str) -> str | None:
    """Return the version of TLS that a client and a server agree on. Raises SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(to_client, to_server, server_hostname=name)
    peer = serving.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, peer):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return client.version()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [name for name in ssl.TLSVersion if name >= 0x0301])
def test_the_git_server_speaks_nothing_older_than_tls_1_2(
    version: ssl.TLSVersion, made: Settings
) -> None:
    asking = ssl.create_default_context(cafile=str(folder(made) / "ca.crt"))
    asking.minimum_version = asking.maximum_version = version
    serving = tls_context(Path(server(made)))
    # OpenSSL's own level, which the distribution sets, would refuse, too.
    for context in (asking, serving):
        context.set_ciphers("ALL:@SECLEVEL=0")
    assert agreed(asking, serving) == (version >= ssl.TLSVersion.TLSv1_2)
    serving.minimum_version = ssl.TLSVersion.TLSv1
    assert agreed(asking, serving)


@pytest.mark.parametrize("name", [ADDRESS, "127.0.0.1", "localhost", "lab-git"])
def test_who_trusts_the_ca_can_connect(name: str, made: Settings) -> None:
    assert handshake(made, folder(made) / "ca.crt", name) is None


def in_cluster(lab: Callable[..., Settings], host: str) -> Settings:
    """Return the same lab with its Git server in a cluster."""
    return lab(
        cluster_provider="existing", kubeconfig="/home/ada/.kube/config", context="prod",
        registry="registry.example", git_in_cluster={"host": host, "port": 30443},
    )  # fmt: skip


def test_a_server_that_moves_into_a_cluster_keeps_its_ca(
    made: Settings, lab: Callable[..., Settings]
) -> None:
    before, moved = state(made), in_cluster(lab, "192.0.2.20")
    assert not Applied(tls.ca, settings=moved).failed
    assert Applied(tls.certificate, settings=moved).changed
    assert state(moved).ca == before.ca
    for name in ("192.0.2.20", "git.sops-lab-git-lab.svc"):
        assert handshake(moved, folder(made) / "ca.crt", name) is None


def test_a_server_on_a_docker_that_has_a_name_is_trusted_by_that(
    lab: Callable[..., Settings],
) -> None:
    named = lab(docker_host="tcp://docker:2376")
    for operation in (tls.ca, tls.certificate):
        assert Applied(operation, settings=named).changed
    assert handshake(named, folder(named) / "ca.crt", "docker") is None


def test_a_server_whose_name_the_ca_may_not_sign_for_is_refused(
    made: Settings, lab: Callable[..., Settings]
) -> None:
    refused = Applied(tls.ca, settings=in_cluster(lab, "git.example.org"))
    assert refused.failed
    assert "may not vouch for git.example.org" in refused.stderr
    assert f"remove {made.tls_dir}" in refused.stderr
    shutil.rmtree(folder(made))
    server(made).unlink()
    assert Applied(tls.ca, settings=in_cluster(lab, "git.example.org")).changed
    assert state(in_cluster(lab, "x.git.example.org")).foreign == ()
    assert state(in_cluster(lab, "agit.example.org")).foreign == ("agit.example.org",)
    assert state(made).foreign == ()


@pytest.mark.parametrize("name", ["192.0.2.11", "git.example", "lab-git.example"])
def test_another_name_is_another_server(name: str, made: Settings) -> None:
    assert "mismatch" in str(handshake(made, folder(made) / "ca.crt", name))


def test_the_ca_of_another_lab_is_not_trusted(made: Settings, lab: Callable[..., Settings]) -> None:
    other = lab(lab="other", git_bind=ADDRESS)
    assert Applied(tls.ca, settings=other).changed
    assert handshake(made, folder(other) / "ca.crt", ADDRESS) is not None


@pytest.mark.parametrize("name", ["DNS:github.example", "IP:2001:db8::1", "DNS:localhost.example"])
def test_what_the_ca_signs_for_others_is_worth_nothing(
    name: str, made: Settings, tmp_path: Path
) -> None:
    key, request, signed = tmp_path / "key", tmp_path / "request", tmp_path / "signed"
    openssl(
        "req", "-new", "-config", "/dev/stdin", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request,
        stdin="[req]\ndistinguished_name=d\nprompt=no\n[d]\nO=Mallory\n",
    )  # fmt: skip
    openssl(
        "x509", "-req", "-in", request, "-CA", folder(made) / "ca.crt", "-CAkey",
        folder(made) / "ca.key", "-set_serial", "7", "-out", signed, "-extfile", "/dev/stdin",
        stdin=f"subjectAltName={name}\n",
    )  # fmt: skip
    said = openssl("verify", "-CAfile", folder(made) / "ca.crt", signed, check=False)
    assert "permitted subtree violation" in said


def end_soon(made: Settings) -> None:
    config = "[x]\nsubjectAltName=IP:192.0.2.10,IP:127.0.0.1,DNS:localhost,DNS:lab-git\n"
    request = openssl("x509", "-x509toreq", "-in", server(made), "-signkey", server(made))
    begin = request.index("-----BEGIN CERTIFICATE REQUEST")
    signed = openssl(
        "x509", "-req", "-in", "/dev/stdin", "-CA", folder(made) / "ca.crt", "-CAkey",
        folder(made) / "ca.key", "-set_serial", "9", "-days", "29",
        "-extfile", write(made, config), "-extensions", "x", stdin=request[begin:],
    )  # fmt: skip
    certificate = signed[signed.index("-----BEGIN CERTIFICATE") :]
    server(made).write_text(openssl("pkey", "-in", server(made)) + certificate)


def write(made: Settings, text: str) -> Path:
    path = Path(made.root) / "extensions"
    path.write_text(text)
    return path


def lose_the_key(made: Settings) -> None:
    text = server(made).read_text()
    other = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    server(made).write_text(other + text[text.index("-----BEGIN CERTIFICATE") :])


def exchange_the_ca(made: Settings) -> None:
    shutil.rmtree(folder(made))
    aside = server(made).rename(Path(made.root) / "aside")
    assert Applied(tls.ca, settings=made).changed
    aside.rename(server(made))


RENEWED: dict[str | None, Callable[[Settings], object]] = {
    "it ends in less than 30 days": end_soon,
    "its key does not fit": lose_the_key,
    "it is not of this CA": exchange_the_ca,
    "it cannot be read": lambda made: server(made).write_text("nothing"),
    "others could read its key": lambda made: server(made).chmod(0o644),
    None: lambda made: server(made).unlink(),
}


@pytest.mark.parametrize("reason", RENEWED)
def test_a_certificate_is_renewed_in_time(reason: str | None, made: Settings) -> None:
    RENEWED[reason](made)
    before = (folder(made) / "ca.crt").read_bytes()
    found = state(made)
    assert (found.problem, found.certificate, found.stale) == (None, None, reason)

    assert Applied(tls.certificate, settings=made).changed
    assert state(made).certificate is not None
    assert handshake(made, folder(made) / "ca.crt", ADDRESS) is None
    assert (folder(made) / "ca.crt").read_bytes() == before


def test_a_machine_at_another_address_keeps_its_ca(
    made: Settings, lab: Callable[..., Settings]
) -> None:
    before = state(made)
    moved = lab(git_bind="198.51.100.7")
    assert f"it is for IP Address:{ADDRESS}" in str(state(moved).stale)
    assert Applied(tls.certificate, settings=moved).changed
    assert state(moved).ca == before.ca
    assert handshake(moved, folder(made) / "ca.crt", "198.51.100.7") is None


DAMAGE: dict[str, Callable[[Settings], object]] = {
    "ca.key is gone": lambda made: (folder(made) / "ca.key").unlink(),
    "ca.crt is gone": lambda made: (folder(made) / "ca.crt").unlink(),
    "ca.crt holds no certificate": lambda made: (folder(made) / "ca.crt").write_text("?"),
    "ca.key does not hold the key": lambda made: (folder(made) / "ca.key").write_text("?"),
    "ca.key can be read by others: chmod 600": lambda made: (folder(made) / "ca.key").chmod(0o640),
    "ca.key is a symbolic link": lambda made: (folder(made) / "ca.key").symlink_to(
        (folder(made) / "ca.key").rename(Path(made.root) / "elsewhere")
    ),
    "the key and the certificate are gone": lambda made: shutil.rmtree(folder(made)),
}


@pytest.mark.parametrize("reason", DAMAGE)
def test_a_ca_that_is_damaged_is_never_made_anew(reason: str, made: Settings) -> None:
    DAMAGE[reason](made)
    before = names(folder(made)) if folder(made).exists() else []
    refused = Applied(tls.ca, settings=made)
    assert refused.failed
    assert reason in refused.stderr
    assert BACKUP in refused.stderr
    assert (names(folder(made)) if folder(made).exists() else []) == before


def test_a_ca_that_appears_meanwhile_is_not_overwritten(settings: Settings) -> None:
    """Another run makes a CA between this run's look and its change."""
    Path(settings.tls_dir).mkdir(parents=True)
    kept = Path(settings.tls_dir) / "mine"
    kept.write_text("kept")
    assert Applied(tls.ca, settings=settings).failed
    assert names(folder(settings)) == ["mine"]


def without_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    for tool in ("sh", "env"):
        (tmp_path / "empty" / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def test_openssl_is_not_needed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_programs(tmp_path, monkeypatch)
    assert state(settings) == TlsState()
    assert Applied(tls.ca, settings=settings).changed
    assert Applied(tls.certificate, settings=settings).changed
    assert state(settings).certificate is not None


# The configuration of labs whose CA and certificate openssl made.
CONFIG = """
[req]
distinguished_name = subject
prompt = no
[subject]
CN = {subject}
[ca]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
nameConstraints = critical, permitted;DNS:localhost, permitted;DNS:lab-git, \
permitted;IP:0.0.0.0/0.0.0.0
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = IP:192.0.2.10, IP:127.0.0.1, DNS:localhost, DNS:lab-git
"""


def made_by_openssl(settings: Settings) -> None:
    ca, path = folder(settings), server(settings)
    for new in (ca, path.parent):
        new.mkdir(parents=True)
    config = write(settings, CONFIG.format(subject="sops-lab lab"))
    for key in (ca / "ca.key", path):
        made = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        key.write_text(made)
        key.chmod(0o600)
    openssl(
        "req", "-new", "-x509", "-config", config, "-extensions", "ca", "-key", ca / "ca.key",
        "-sha256", "-days", "3650", "-out", ca / "ca.crt",
    )  # fmt: skip
    config.write_text(CONFIG.format(subject="lab-git"))
    request = openssl("req", "-new", "-config", config, "-key", path)
    signed = openssl(
        "x509", "-req", "-CA", ca / "ca.crt", "-CAkey", ca / "ca.key", "-sha256", "-set_serial",
        "7", "-days", "397", "-extfile", config, "-extensions", "server", stdin=request,
    )  # fmt: skip
    with path.open("a") as file:
        file.write(signed[signed.index("-----BEGIN CERTIFICATE") :])


def test_what_openssl_has_made_is_left_alone_and_signs_on(settings: Settings) -> None:
    made_by_openssl(settings)
    found = state(settings)
    assert (found.problem, found.stale) == (None, None)
    printed = openssl("x509", "-in", server(settings), "-noout", "-fingerprint", "-sha256")
    assert found.certificate == printed.strip().partition("=")[2]
    server(settings).unlink()
    assert Applied(tls.certificate, settings=settings).changed
    assert state(settings).ca == found.ca
    assert handshake(settings, folder(settings) / "ca.crt", ADDRESS) is None
    said = openssl(
        "verify", "-CAfile", folder(settings) / "ca.crt", "-x509_strict", "-purpose", "sslserver",
        server(settings),
    )  # fmt: skip
    assert said.endswith(": OK\n")


NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NAMES = ("IP Address:192.0.2.10", "DNS:localhost")
SERVER = ServerCertificate(NAMES, NOW, NOW + timedelta(days=397), key_fits=True, signed=True)


@pytest.mark.parametrize(
    ("found", "is_open", "fault"),
    [
        (SERVER, False, None),
        (SERVER, True, "others could read its key"),
        (None, False, "it cannot be read"),
        (replace(SERVER, key_fits=False), False, "its key does not fit"),
        (replace(SERVER, names=NAMES[:1]), False, "it is for IP Address:192.0.2.10"),
        (
            replace(SERVER, end=NOW + timedelta(days=30)),
            False,
            "it ends in less than 30 days",
        ),
        (replace(SERVER, signed=False), False, "it is not of this CA"),
        # The clock was set back.
        (replace(SERVER, begin=NOW + timedelta(days=1)), False, "it is not of this CA"),
    ],
)
def test_a_certificate_that_does_not_serve_is_made_anew(
    found: ServerCertificate | None, is_open: bool, fault: str | None
) -> None:
    assert fault_of(found, is_open=is_open, names=NAMES, now=NOW) == fault
