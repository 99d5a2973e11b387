"""scripts/sops-setup.sh with the real age-keygen, and a stand-in for the cluster.

The stand-in keeps one Secret in a file and lets the real kubectl fill in the templates. The cluster
tests show what a real cluster makes of it.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import find_tool
from tests.marks import mostly_soak
from tests.texts import replaced

from .conftest import SETUP, Key, Repository
from .terminal import CTRL_BACKSLASH, CTRL_C, Terminal

pytestmark = pytest.mark.shells

STAND_IN = """#!{python}
import os, subprocess, sys
from pathlib import Path

state = Path({state!r})
dropped = ("--request-timeout", "--namespace", "-n", "-o", "flux-system")
arguments = [a for a in sys.argv[1:] if not a.startswith(dropped)]
with (state / "record").open("a") as record:
    print(*sys.argv, *os.environ.items(), sep="\\n", file=record)
secret = state / "secret.yaml"
if (state / "down").exists():
    sys.exit("Unable to connect to the server: dial tcp 127.0.0.1:6443: connection refused")
if arguments[0] == "get" and arguments[1] == "namespace":
    if (state / "no-flux").exists():
        sys.exit('Error from server (NotFound): namespaces "flux-system" not found')
    print("namespace/flux-system")
elif arguments[0] == "get" and arguments[1:3] == ["secret", "sops-age"]:
    template = "--output=" + arguments[-1].removeprefix("--output=")
    if (state / "hidden").exists() and "base64decode" in template:
        sys.exit("Unable to connect to the server: net/http: TLS handshake timeout")
    if secret.exists():
        command = [{kubectl!r}, "annotate", "--local", "--filename", str(secret), "a=b", template]
        sys.exit(subprocess.run(command).returncode)
    if "--ignore-not-found" not in arguments:
        sys.exit('Error from server (NotFound): secrets "sops-age" not found')
elif arguments[0] == "apply" and "--server-side" in arguments and "--filename=-" in arguments:
    text = sys.stdin.read()
    if (state / "forbidden").exists():
        sys.exit("Error from server (Forbidden): secrets is forbidden: " + text)
    if (state / "odd").exists():
        sys.exit("Error from server (Teapot): " + text.splitlines()[-1])
    secret.write_text(text)
    print("secret/sops-age serverside-applied")
else:
    sys.exit(f"unexpected call: {{arguments}}")
"""


@dataclass
class Cluster:
    """The state from which the stand-in for kubectl answers."""

    state: Path

    @property
    def record(self) -> str:
        return (self.state / "record").read_text()

    @property
    def secret(self) -> str:
        return (self.state / "secret.yaml").read_text()

    def switch(self, name: str) -> None:
        (self.state / name).touch()

    def hold(self, **entries: str) -> None:
        """Give the cluster a sops-age with these entries; `__` stands for a dot."""
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "sops-age", "namespace": "flux-system"},
            "data": {
                name.replace("__", "."): base64.b64encode(text.encode()).decode()
                for name, text in entries.items()
            },
        }
        (self.state / "secret.yaml").write_text(json.dumps(manifest))


@pytest.fixture
def cluster(repository: Repository, tmp_path: Path) -> Cluster:
    state = tmp_path / "cluster"
    state.mkdir()
    repository.stand_in(
        "kubectl",
        STAND_IN.format(python=sys.executable, state=str(state), kubectl=find_tool("kubectl")),
    )
    return Cluster(state)


def assert_no_key_shown(result: "subprocess.CompletedProcess[str]", *keys: Key) -> None:
    output = result.stdout + result.stderr
    assert "AGE-SECRET-KEY" not in output.upper()
    for key in keys:
        assert base64.b64encode(key.path.read_bytes()).decode()[:40] not in output


def holders(folder: Path, key: Key) -> list[Path]:
    """Return the files below a folder that hold a private key."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and key.secret in path.read_text(errors="replace")
    ]


# --- --create-secret -------------------------------------------------------------------------


@pytest.mark.shells(usual=True)
def test_creates_the_secret_that_flux_expects(repository: Repository, cluster: Cluster) -> None:
    result = repository.run(SETUP, "--create-secret")

    assert result.returncode == 0, result.stderr
    lines = cluster.secret.splitlines()
    assert "  name: sops-age" in lines
    assert "  namespace: flux-system" in lines
    assert "    reconcile.fluxcd.io/watch: Enabled" in lines
    (data,) = [line for line in lines if line.startswith("  age.agekey: ")]
    assert base64.b64decode(data.split()[1]) == repository.learner.path.read_bytes()
    assert repository.learner.public in result.stdout
    assert_no_key_shown(result, repository.learner)


def test_the_key_reaches_neither_arguments_nor_environment_nor_disk(
    repository: Repository, cluster: Cluster, tmp_path: Path
) -> None:
    exported: dict[str, Any] = {"identity": "exported", "answer": "exported"}

    for option in ("--create-secret", "--check", "--create-secret"):
        result = repository.run(SETUP, option, **exported)
        assert result.returncode == 0, result.stderr

    assert "AGE-SECRET-KEY" not in cluster.record
    assert holders(tmp_path, repository.learner) == [repository.learner.path]


@pytest.mark.shells(usual=True)
@pytest.mark.parametrize(
    ("keys", "code"), [(CTRL_C, 130), (CTRL_BACKSLASH, 131)], ids=["Ctrl-C", "Ctrl-backslash"]
)
def test_an_interruption_writes_no_core_file_with_the_key(
    repository: Repository, tmp_path: Path, keys: bytes, code: int
) -> None:
    before = repository.snapshot()
    repository.stand_in("kubectl", "#!/bin/sh\necho asked >/dev/tty\nexec sleep 30\n")
    terminal = Terminal(repository, SETUP, "--create-secret")
    terminal.expect("asked")
    terminal.press(keys)

    assert terminal.process.wait(10) == code
    assert terminal.echoes()
    assert repository.snapshot() == before
    assert holders(tmp_path, repository.learner) == [repository.learner.path]


def test_updates_without_a_gap(repository: Repository, cluster: Cluster) -> None:
    repository.run(SETUP, "--create-secret")
    repository.run(SETUP, "--create-secret")

    calls = cluster.record.splitlines()
    assert calls.count("apply") == 2
    assert not {"delete", "create", "replace", "patch"} & set(calls)
    assert calls.count("--server-side") == calls.count("--force-conflicts") == 2


def test_tracing_does_not_show_the_key(repository: Repository, cluster: Cluster) -> None:
    result = subprocess.run(
        [*(repository.shell.words or ["sh"]), "-x", repository.root / SETUP, "--create-secret"],
        capture_output=True,
        text=True,
        env=repository.environment,
        check=True,
    )

    assert_no_key_shown(result, repository.learner)


def test_a_key_that_is_not_in_sops_yaml_is_refused(
    repository: Repository, cluster: Cluster, other_key: Callable[[str], Key]
) -> None:
    stranger = other_key("stranger")

    result = repository.run(SETUP, "--create-secret", SOPS_AGE_KEY_FILE=str(stranger.path))

    assert result.returncode == 1
    assert "do not belong together" in result.stderr
    assert stranger.public in result.stderr
    assert repository.learner.public in result.stderr
    assert_no_key_shown(result, stranger)
    assert not (cluster.state / "record").exists()


def test_a_recipient_in_a_comment_does_not_count(
    repository: Repository, cluster: Cluster, other_key: Callable[[str], Key]
) -> None:
    stranger = other_key("stranger")
    config = repository.root / ".sops.yaml"
    config.write_text(f"{config.read_text()}\n      # - {stranger.public}\n")

    result = repository.run(SETUP, "--create-secret", SOPS_AGE_KEY_FILE=str(stranger.path))

    assert result.returncode == 1


def test_a_post_quantum_key_works_as_well(repository: Repository, cluster: Cluster) -> None:
    path = repository.learner.path.with_name("pq")
    subprocess.run([find_tool("age-keygen"), "-pq", "-o", path], check=True, capture_output=True)
    public = repository.tool("age-keygen", "-y", str(path)).decode().strip()
    config = repository.root / ".sops.yaml"
    config.write_text(replaced(config.read_text(), repository.learner.public, public))

    result = repository.run(SETUP, "--create-secret", SOPS_AGE_KEY_FILE=str(path))

    assert result.returncode == 0, result.stderr


# --- the key file ----------------------------------------------------------------------------

Damage = Callable[[bytes], bytes]


def _change_one_character(key: bytes) -> bytes:
    last = key.rstrip()[-1:]
    return key.rstrip()[:-1] + (b"Q" if last != b"Q" else b"P") + b"\n"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_change_one_character, "is damaged"),
        (lambda key: key[:-10], "is damaged"),
        (lambda key: b"", "is empty"),
        (lambda key: b"\n \n", "is empty"),
        (lambda key: b"# only a comment\n", "is damaged"),
        (lambda key: b"\xef\xbb\xbf" + key, "byte order mark"),
        (lambda key: key.replace(b"KEY-1", b"KEY-\x00"), "is damaged"),
        (lambda key: b"\xff" * 70000, "too large"),
    ],
)
@pytest.mark.parametrize(
    "option", mostly_soak(["--create-secret", "--generate"], "--create-secret")
)
def test_a_corrupted_key_is_refused_before_the_cluster_is_touched(
    repository: Repository, cluster: Cluster, damage: Damage, said: str, option: str
) -> None:
    path = repository.learner.path
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()

    result = repository.run(SETUP, option)

    assert result.returncode == 1
    assert said in result.stderr
    assert "Next:" in result.stderr
    assert_no_key_shown(result)
    assert path.read_bytes() == before
    assert not (cluster.state / "record").exists()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
def test_a_key_that_others_can_reach_is_refused(
    repository: Repository, cluster: Cluster, mode: int
) -> None:
    repository.learner.path.chmod(mode)

    result = repository.run(SETUP, "--create-secret")

    assert result.returncode == 1
    assert f"chmod 600 {repository.learner.path}" in result.stderr


def test_the_chmod_in_the_message_helps(repository: Repository, cluster: Cluster) -> None:
    spaced = repository.learner.path.with_name("my key $(touch pwned)")
    repository.learner.path.rename(spaced)
    spaced.chmod(0o644)
    refused = repository.run(SETUP, "--create-secret", SOPS_AGE_KEY_FILE=str(spaced))
    command = refused.stderr.split("Next: ")[1].strip()

    subprocess.run(["sh", "-c", command], check=True)

    accepted = repository.run(SETUP, "--create-secret", SOPS_AGE_KEY_FILE=str(spaced))
    assert accepted.returncode == 0, accepted.stderr


def test_a_symbolic_link_is_refused(repository: Repository, cluster: Cluster) -> None:
    link = repository.learner.path.with_name("link")
    link.symlink_to(repository.learner.path)

    result = repository.run(SETUP, "--create-secret", SOPS_AGE_KEY_FILE=str(link))

    assert result.returncode == 1
    assert "symbolic link" in result.stderr
    assert "chmod 600" in result.stderr


def test_somebody_else_s_key_is_refused(repository: Repository, cluster: Cluster) -> None:
    if os.geteuid() == 0:
        os.chown(repository.learner.path, 12345, -1)
        path = repository.learner.path
    else:
        path = Path("/etc/hostname")

    result = repository.run(SETUP, "--create-secret", SOPS_AGE_KEY_FILE=str(path))

    assert result.returncode == 1
    assert "belongs to somebody else" in result.stderr
    assert "chown" in result.stderr


@pytest.mark.shells(usual=True)
@pytest.mark.parametrize(
    ("path", "said"),
    [("", 'eval "$(sopslab env)"'), ("/nonexistent/key", "no key file"), ("/", "regular file")],
)
def test_no_key_file_is_explained(
    repository: Repository, cluster: Cluster, path: str, said: str
) -> None:
    result = repository.run(SETUP, "--create-secret", SOPS_AGE_KEY_FILE=path)

    assert result.returncode == 1
    assert said in result.stderr


# --- the cluster -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("switch", "code", "said"),
    [
        ("down", 3, "the cluster cannot be asked: nothing answers at the address of the cluster"),
        ("no-flux", 3, "no namespace flux-system"),
        ("odd", 1, "the cluster refused the secret: the reason is not known here"),
        ("forbidden", 1, "the cluster refused the secret: the lab may not do that in this cluster"),
    ],
)
def test_an_unwilling_cluster_is_explained(
    repository: Repository, cluster: Cluster, switch: str, code: int, said: str
) -> None:
    cluster.switch(switch)

    result = repository.run(SETUP, "--create-secret")

    assert result.returncode == code
    assert said in result.stderr
    assert_no_key_shown(result, repository.learner)


def test_a_useless_key_in_the_cluster_is_replaced_and_both_are_shown(
    repository: Repository, cluster: Cluster, other_key: Callable[[str], Key]
) -> None:
    stranger = other_key("stranger")
    cluster.hold(age__agekey=stranger.path.read_text())

    result = repository.run(SETUP, "--create-secret")

    assert result.returncode == 0, result.stderr
    assert stranger.public in result.stdout
    assert repository.learner.public in result.stdout
    assert_no_key_shown(result, stranger)


@pytest.mark.parametrize("user", ["sops-yaml", "file"])
def test_a_key_in_the_cluster_that_is_still_needed_is_kept(
    repository: Repository, cluster: Cluster, other_key: Callable[[str], Key], user: str
) -> None:
    needed = repository.instructor if user == "sops-yaml" else other_key("former")
    if user == "file":
        (repository.secrets / "old.yaml").write_text(
            f"sops:\n  age:\n  - recipient: {needed.public}"
        )
    cluster.hold(age__agekey=needed.path.read_text())
    before = cluster.secret

    result = repository.run(SETUP, "--create-secret")

    assert result.returncode == 1
    assert needed.public in result.stderr
    assert repository.learner.public in result.stderr
    assert "rotation-plan.md" in result.stderr
    assert cluster.secret == before


def test_a_change_of_keys_runs_with_both_in_between(
    repository: Repository, cluster: Cluster, other_key: Callable[[str], Key]
) -> None:
    path = repository.learner.path
    old = path.read_text()
    new = other_key("new")
    config = repository.root / ".sops.yaml"
    repository.run(SETUP, "--create-secret")

    path.write_text(old + new.path.read_text())
    both = repository.run(SETUP, "--create-secret")
    assert both.returncode == 0, both.stderr
    assert "Replacing" not in both.stdout

    path.write_text(new.path.read_text())
    early = repository.run(SETUP, "--create-secret")
    assert early.returncode == 1
    assert "do not belong together" in early.stderr

    config.write_text(replaced(config.read_text(), repository.learner.public, new.public))
    late = repository.run(SETUP, "--create-secret")
    assert late.returncode == 0, late.stderr
    assert repository.learner.public in late.stdout
    assert repository.run(SETUP, "--check").returncode == 0


@pytest.mark.parametrize("content", ["", "rubbish"])
def test_an_unusable_entry_is_replaced(
    repository: Repository, cluster: Cluster, content: str
) -> None:
    cluster.hold(age__agekey=content)

    assert repository.run(SETUP, "--create-secret").returncode == 0
    assert repository.run(SETUP, "--check").returncode == 0


@pytest.mark.parametrize("option", ["--create-secret", "--generate"])
def test_a_key_that_the_cluster_does_not_show_is_not_taken_for_none(
    repository: Repository, cluster: Cluster, other_key: Callable[[str], Key], option: str
) -> None:
    """It answers the first question, and is silent when it is asked for the key."""
    cluster.hold(age__agekey=other_key("former").path.read_text())
    cluster.switch("hidden")
    before = cluster.secret
    if option == "--generate":
        repository.learner.path.unlink()

    result = repository.run(SETUP, option)

    assert result.returncode == 3
    assert "does not show what is in it" in result.stderr
    assert cluster.secret == before
    assert repository.learner.path.exists() == (option == "--create-secret")


# --- --check ---------------------------------------------------------------------------------


@pytest.mark.shells(usual=True)
def test_a_check_of_a_good_lab_says_so(repository: Repository, cluster: Cluster) -> None:
    repository.run(SETUP, "--create-secret")

    result = repository.run(SETUP, "--check")

    assert result.returncode == 0, result.stdout
    assert [line[0] for line in result.stdout.splitlines()] == ["✓", "✓", "✓"]
    assert repository.learner.public in result.stdout


def test_a_check_without_the_secret_names_the_next_step(
    repository: Repository, cluster: Cluster
) -> None:
    result = repository.run(SETUP, "--check")

    assert result.returncode == 1
    assert "there is no secret flux-system/sops-age" in result.stdout
    assert "Next: scripts/sops-setup.sh --create-secret" in result.stdout


@pytest.mark.parametrize(
    ("entry", "whole", "said"),
    [
        ("age__key", True, "'age.key' of sops-age does not end in .agekey"),
        ("age__agekey", False, "'age.agekey' of sops-age is empty"),
    ],
)
def test_a_check_names_the_entry_that_flux_overlooks(
    repository: Repository, cluster: Cluster, entry: str, whole: bool, said: str
) -> None:
    cluster.hold(**{entry: repository.learner.path.read_text() if whole else ""})

    result = repository.run(SETUP, "--check")

    assert result.returncode == 1
    assert said in result.stdout
    assert_no_key_shown(result, repository.learner)


def test_a_check_shows_the_cluster_s_wrong_key(
    repository: Repository, cluster: Cluster, other_key: Callable[[str], Key]
) -> None:
    stranger = other_key("stranger")
    cluster.hold(age__agekey=stranger.path.read_text())

    result = repository.run(SETUP, "--check")

    assert result.returncode == 1
    assert "Flux has another key than the files are encrypted to" in result.stdout
    assert stranger.public in result.stdout
    assert repository.learner.public in result.stdout
    assert_no_key_shown(result, stranger, repository.learner)


def test_a_check_blames_sops_yaml_alone_if_the_cluster_has_the_key(
    repository: Repository, cluster: Cluster, other_key: Callable[[str], Key]
) -> None:
    repository.run(SETUP, "--create-secret")
    config = repository.root / ".sops.yaml"
    stranger = other_key("stranger").public
    config.write_text(replaced(config.read_text(), repository.learner.public, stranger))

    result = repository.run(SETUP, "--check")

    assert result.returncode == 1
    assert "✗ .sops.yaml" in result.stdout
    assert "✓ cluster" in result.stdout


def test_a_check_accepts_two_keys_during_a_change(
    repository: Repository, cluster: Cluster, other_key: Callable[[str], Key]
) -> None:
    cluster.hold(
        age__agekey=repository.learner.path.read_text(),
        old__agekey=other_key("former").path.read_text(),
    )

    result = repository.run(SETUP, "--check")

    assert result.returncode == 0, result.stdout
    assert "lacks the label" in result.stdout


def test_a_check_compares_what_it_can(repository: Repository, cluster: Cluster) -> None:
    cluster.switch("down")

    result = repository.run(SETUP, "--check")

    assert result.returncode == 3
    assert "✓ .sops.yaml" in result.stdout
    assert "✗ cluster" in result.stdout


@pytest.mark.shells(usual=True)
def test_a_lost_key_file_can_be_recovered_from_the_cluster(
    repository: Repository, cluster: Cluster
) -> None:
    repository.run(SETUP, "--create-secret")
    content = repository.learner.path.read_bytes()
    repository.learner.path.unlink()

    checked = repository.run(SETUP, "--check")
    generated = repository.run(SETUP, "--generate")

    assert checked.returncode == generated.returncode == 1
    assert not repository.learner.path.exists()
    for output in (checked.stdout, generated.stderr):
        (command,) = [line for line in output.splitlines() if "(umask 077" in line]
        subprocess.run(["sh", "-c", command], env=repository.environment, check=True)
        assert repository.learner.path.read_bytes() == content
        assert repository.learner.path.stat().st_mode & 0o777 == 0o600
        repository.learner.path.unlink()


# --- --generate ------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_generates_a_private_key_whatever_the_umask(
    repository: Repository, cluster: Cluster, umask: int
) -> None:
    path = repository.root.parent / "new" / "keys" / "key"

    result = repository.run(SETUP, "--generate", SOPS_AGE_KEY_FILE=str(path), umask=umask)

    assert result.returncode == 0, result.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert repository.tool("age-keygen", "-y", str(path)).decode().strip() in result.stdout
    assert ".sops.yaml does not list this key yet" in result.stdout
    assert "AGE-SECRET-KEY" not in result.stdout + result.stderr


def test_generates_without_a_cluster(repository: Repository, cluster: Cluster) -> None:
    cluster.switch("down")
    path = repository.learner.path.with_name("new")

    assert repository.run(SETUP, "--generate", SOPS_AGE_KEY_FILE=str(path)).returncode == 0


def test_an_existing_key_is_never_overwritten(repository: Repository, cluster: Cluster) -> None:
    before = repository.learner.path.read_bytes()

    result = repository.run(SETUP, "--generate")

    assert result.returncode == 0
    assert "it was kept" in result.stdout
    assert repository.learner.path.read_bytes() == before


def test_a_directory_open_to_others_is_refused(repository: Repository, cluster: Cluster) -> None:
    path = repository.root.parent / "open" / "key"
    path.parent.mkdir()
    path.parent.chmod(0o777)

    result = repository.run(SETUP, "--generate", SOPS_AGE_KEY_FILE=str(path))

    assert result.returncode == 1
    assert f"chmod 700 {path.parent}" in result.stderr
    assert not path.exists()


def test_a_full_disk_leaves_no_broken_key(repository: Repository, cluster: Cluster) -> None:
    path = repository.learner.path.with_name("new")
    repository.stand_in("age-keygen", '#!/bin/sh\n: >"$2"\nexit 1\n')

    result = repository.run(SETUP, "--generate", SOPS_AGE_KEY_FILE=str(path))

    assert result.returncode == 1
    assert "could not write" in result.stderr
    assert not path.exists()


# --- usage -----------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("--unknown",), ("--check", "--generate")])
def test_wrong_usage_is_explained(repository: Repository, arguments: tuple[str, ...]) -> None:
    result = repository.run(SETUP, *arguments)

    assert result.returncode == 2
    assert "Usage:" in result.stderr


def test_help_documents_the_exit_codes(repository: Repository) -> None:
    result = repository.run(SETUP, "--help")

    assert result.returncode == 0
    assert "Exit codes: 0 all well" in result.stdout


def test_a_missing_tool_is_said_plainly(repository: Repository) -> None:
    for name in ("awk", "dirname", "sed", "tr"):
        (repository.stand_ins / name).symlink_to(find_tool(name))

    result = repository.run(SETUP, "--check", PATH=str(repository.stand_ins))

    assert result.returncode == 3
    assert "is not on your PATH" in result.stderr
