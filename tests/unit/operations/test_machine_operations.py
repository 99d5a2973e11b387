"""Scripts that change a machine, run with stand-ins for its tools: what happens to its files."""

from __future__ import annotations

import grp
import json
import os
import re
import shlex
import signal
import struct
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import StringCommand

from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.act import packages
from sopslab.lab.act.engine import admit as admit_user
from sopslab.lab.act.engine import await_answer, check_use
from sopslab.lab.observe.engine import has_group, is_member, runtime_body
from sopslab.lab.tools.programs import Answer
from sopslab.model.packages import MANAGERS, PACKAGES
from sopslab.provision.operations import docker
from sopslab.provision.operations.artifact import PACKERS
from sopslab.provision.operations.docker import CLIENT, ENGINE, OWNER_LABEL
from tasks.host import COMMANDS
from tests.texts import replaced, write_program
from tests.unit.operations.test_operations import run

STOPPED: dict[str, Any] = {
    "arguments": {"patience": 0, "install_docker": False},
    "facts": {
        "engine_state": {"reason": "stopped"}, "machine_state": {}, "sudo_state": ['"ok"'],
        "has_group": ["false"], "is_member": ["false"],
    },
}  # fmt: skip
# The id of those entries of an access control list that name no user and no group.
NOBODY = 0xFFFFFFFF
# The capabilities of a container that is not privileged.
FEW = 0xA80425FB


@pytest.fixture
def standins(tmp_path: Path) -> Path:
    """The folder of the stand-ins, which `carry_out` puts first in PATH."""
    folder = tmp_path / "standins"
    folder.mkdir()
    return folder


def stand_in(folder: Path, *names: str, doing: str = "") -> None:
    """Write commands that record how they are called, and then do this."""
    for name in names:
        write_program(
            folder / name, f'#!/bin/sh\necho "{name} $*" >>"$(dirname "$0")/calls"\n{doing}\n'
        )


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def commands(operation: str, settings: Settings, /, **case: Any) -> list[StringCommand]:
    """Return the commands of an operation on a machine with these recorded facts."""
    _, found = run(case, operation, settings)
    return found


def carry_out(
    command: StringCommand, standins: Path, instead: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command with other paths in place of those of this machine."""
    text, stdin = command.get_raw_value(), str(command.connector_arguments.get("_stdin", ""))
    file = next((word for word in shlex.split(text) if word.endswith(".sh")), None)
    script = Path(file).read_text() if file else ""
    for place, other in (instead or {}).items():
        replaced(text + stdin + script, place, other)
        text, stdin = text.replace(place, other), stdin.replace(place, other)
        script = script.replace(place, other)
    if file:
        (standins / "script").write_text(script)
        text = text.replace(file, str(standins / "script"))
    return subprocess.run(
        ["sh", "-c", text], input=stdin,
        capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": f"{standins}:{os.environ['PATH']}"},
    )  # fmt: skip


MISSING = {"machine_state": {"uid": 0, "missing": ["dockerd", "docker", "setsid"]}}


def installing(settings: Settings, manager: str = "apt-get") -> StringCommand:
    facts = {"machine_state": {**MISSING["machine_state"], "manager": manager}}
    (install,) = commands("host.packages", settings, arguments={"commands": []}, facts=facts)
    return install


@pytest.mark.parametrize(
    ("known", "client"),
    [("docker.io docker-cli util-linux", "docker-cli"), ("docker.io util-linux", "docker.io")],
)
def test_packages_are_installed_from_lists_of_today_by_the_names_of_the_release(
    lab: Callable[..., Settings],
    standins: Path,
    known: str,
    client: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEBIAN_FRONTEND", "readline")
    refuse = f'case " {known} " in *" $package "*) ;; *) exit 100 ;; esac'
    stand_in(
        standins, "apt-get",
        doing=f"""
[ "$DEBIAN_FRONTEND" = noninteractive ] || exit 1
for package; do :; done
case $* in *--simulate*) {refuse} ;; esac""",
    )  # fmt: skip
    done = carry_out(installing(lab()), standins)
    assert done.returncode == 0, done.stderr
    update, *simulated, fetched, installed = calls(standins)
    assert update.split()[1] == "update"
    assert simulated
    assert all("--no-remove" in call and "--simulate" in call for call in simulated)
    assert "--download-only" in fetched and "--download-only" not in installed
    assert fetched.split()[-3:] == [client, "docker.io", "util-linux"]
    assert "--no-remove" in installed and "--simulate" not in installed
    assert installed.split()[-3:] == [client, "docker.io", "util-linux"]


def test_fedoras_packages_are_installed_by_its_own_manager(
    lab: Callable[..., Settings], standins: Path
) -> None:
    stand_in(standins, "dnf")
    done = carry_out(installing(lab(), "dnf"), standins)
    assert done.returncode == 0, done.stderr
    fetched, installed = (call.split() for call in calls(standins)[-2:])
    assert "--downloadonly" in fetched and "--downloadonly" not in installed
    assert fetched[-3:] == installed[-3:] == ["docker-cli", "moby-engine", "util-linux"]
    # Nobody can answer a question, and no package may be removed.
    assert "--assumeyes" in installed and "--allowerasing" not in installed


def test_nothing_is_installed_before_all_of_it_is_on_the_machine(
    lab: Callable[..., Settings], standins: Path
) -> None:
    stand_in(standins, "apt-get", doing="case $* in *--download-only*) exit 100 ;; esac")
    done = carry_out(installing(lab()), standins)
    assert done.returncode != 0
    assert "--download-only" in calls(standins)[-1]


def test_a_source_that_is_gone_does_not_matter_where_the_others_have_all_packages(
    lab: Callable[..., Settings], standins: Path
) -> None:
    gone = "case $1 in update) echo 'E: no Release file' >&2; exit 100 ;; esac"
    stand_in(standins, "apt-get", doing=gone)
    done = carry_out(installing(lab()), standins)
    assert done.returncode == 0, done.stderr
    # For who looks into the log because a package is not known.
    assert "E: no Release file" in done.stderr
    update, *_, installed = calls(standins)
    assert update.split()[1] == "update"
    assert installed.split()[-3:] == ["docker-cli", "docker.io", "util-linux"]


def test_an_installation_may_take_much_longer_than_a_download(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, float] = {}

    def note(argv: list[str], _environment: Mapping[str, str], *, patience: float) -> Answer:
        given[" ".join(argv)] = patience
        return Answer(0)

    monkeypatch.setattr(packages, "run", note)
    monkeypatch.setattr(packages, "ask", note)
    packages.install("apt-get", [("docker.io",)])
    *others, (installing, patience) = given.items()
    assert "--download-only" in others[-1][0] and "--download-only" not in installing
    # It waits for the lock of dpkg first, and may then need as long as a download several times.
    (lock,) = re.findall(r"Lock::Timeout=(\d+)", installing)
    assert patience >= int(lock) + 3 * max(seconds for _, seconds in others)


def test_a_package_that_would_take_another_one_away_is_refused_in_a_sentence(
    lab: Callable[..., Settings], standins: Path
) -> None:
    stand_in(standins, "apt-get", doing="case $* in *--simulate*) exit 100 ;; esac")
    done = carry_out(installing(lab()), standins)
    assert done.returncode == 1
    assert "docker-cli or docker.io cannot be installed by apt-get without taking" in done.stderr
    assert not any(call.split()[-1] == "util-linux" and "--yes" in call for call in calls(standins))


def test_every_command_of_a_lab_has_a_package_wherever_packages_are_known() -> None:
    for manager in MANAGERS:
        lacking = {*COMMANDS, *CLIENT, *ENGINE} - PACKAGES[manager].keys()
        assert lacking == set(), manager
    assert set(PACKERS) <= PACKAGES["apt-get"].keys()


def test_a_limit_that_was_raised_twice_goes_back_to_what_it_was_at_first(
    lab: Callable[..., Settings], standins: Path, tmp_path: Path
) -> None:
    settings, record = lab(), tmp_path / "records" / "limit"
    key = "fs.inotify.max_user_watches"
    place = {f"/proc/sys/{key.replace('.', '/')}": str(tmp_path / "limit")}
    for found in (100, 200):
        remember, raise_it = commands(
            "host.sysctl", settings,
            arguments={"key": key, "at_least": 300, "record": str(record)},
            facts={"machine_state": {"inotify_watches": found}, "sudo_state": ['"ok"']},
        )  # fmt: skip
        carry_out(remember, standins)
        carry_out(raise_it, standins, place)
        assert (tmp_path / "limit").read_text() == "300\n"
    put_back, forget = commands(
        "host.original_sysctl", settings,
        arguments={"key": key, "raised_to": 300, "record": str(record)},
        facts={
            "recorded_value": [json.dumps(record.read_text().strip())],
            "lab_networks": ["[]"],
            "machine_state": {"uid": 0, "inotify_watches": 300},
        },
    )  # fmt: skip
    carry_out(put_back, standins, place)
    carry_out(forget, standins)
    assert (tmp_path / "limit").read_text() == "100\n"
    assert not record.exists()


def test_a_record_of_a_limit_that_was_left_empty_is_written_before_the_limit_is_raised(
    lab: Callable[..., Settings], standins: Path, tmp_path: Path
) -> None:
    record = tmp_path / "limit"
    record.touch()
    remember, _ = commands(
        "host.sysctl", lab(),
        arguments={
            "key": "fs.inotify.max_user_watches", "at_least": 300, "record": str(record),
        },
        facts={"machine_state": {"inotify_watches": 100}, "sudo_state": ['"ok"']},
    )  # fmt: skip
    carry_out(remember, standins)
    assert record.read_text() == "100\n"


def test_no_engine_is_waited_for_for_ever(lab: Callable[..., Settings], standins: Path) -> None:
    stand_in(standins, "timeout")
    network: dict[str, Any] = {"network": "net", "bridge": "br", "owner": "/srv/lab"}
    container = {"running": True, "networks": ["net"], "labels": {}}
    cases: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("network", network, {"network": []}),
        (
            "network",
            network | {"present": False},
            {"network": {"labels": {OWNER_LABEL: "/srv/lab"}}},
        ),
        ("removal", {"container": "git", "network": "net"}, {"container": container}),
    ]
    for operation, arguments, facts in cases:
        (command,) = commands(f"docker.{operation}", lab(), arguments=arguments, facts=facts)
        carry_out(command, standins)
    assert [call.split()[:4] for call in calls(standins)] == [
        ["timeout", "60", "docker", "network"],
        ["timeout", "60", "docker", "network"],
        ["timeout", "60", "docker", "rm"],
    ]


@pytest.fixture
def engine(lab: Callable[..., Settings], standins: Path, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that installs our runtime where `daemon.json` has this text and dockerd is
    this process."""

    def configure(before: str | None, pid: int | None = None) -> tuple[int, str, str]:
        (tmp_path / "docker").mkdir()
        config = tmp_path / "docker" / "daemon.json"
        if before is not None:
            config.write_text(before)
        if pid is not None:
            (tmp_path / "docker.pid").write_text(str(pid))
        (command,) = commands(
            "docker.runtime", lab(),
            arguments={"wrapper": "#!/usr/bin/python -IS\n# ours"},
            facts={
                "machine_state": {"uid": 0, "bounding": FEW}, "engine_state": {"reason": "stopped"},
            },
        )  # fmt: skip
        places = {
            "/etc/docker": str(tmp_path / "docker"),
            "/var/run/docker.pid": str(tmp_path / "docker.pid"),
            "/usr/local/libexec": str(tmp_path / "libexec"),
        }
        done = carry_out(command, standins, places)
        return done.returncode, done.stderr, config.read_text()

    return configure


@pytest.mark.parametrize(
    "before",
    [None, "", '{"log-driver": "local"}', '{"runtimes": {"crun": {"path": "/usr/bin/crun"}}}'],
)
def test_our_runtime_is_the_default_and_other_settings_stay(
    engine: Callable[..., Any], tmp_path: Path, before: str | None
) -> None:
    with subprocess.Popen(["sleep", "60"]) as dockerd:
        code, errors, config = engine(before, dockerd.pid)
        # On SIGHUP, dockerd reads its configuration again. A `sleep` dies of it.
        assert (code, errors, dockerd.wait(10)) == (0, "", -signal.SIGHUP)
    wrapper = tmp_path / "libexec" / "sops-lab" / "oci-runtime"
    known = json.loads(before or "{}")
    assert json.loads(config) == {
        **known,
        "default-runtime": "sops-lab",
        "runtimes": {**known.get("runtimes", {}), "sops-lab": {"path": str(wrapper)}},
    }
    first = wrapper.read_text().splitlines()[0]
    assert runtime_body(str(wrapper)) == "# ours"
    assert runtime_body(str(tmp_path / "absent")) == ""
    assert os.access(wrapper, os.X_OK)
    # Python is the system's: an environment may be removed while Docker still needs the runtime.
    python, options = first.removeprefix("#!").split()
    assert os.access(python, os.X_OK) and Path(python).parent in map(Path, ("/usr/bin", "/bin"))
    assert options == "-IS"


def test_another_default_runtime_is_named_and_stays(engine: Callable[..., Any]) -> None:
    before = '{"default-runtime": "nvidia"}'
    code, errors, config = engine(before)
    assert code == 1 and "default runtime nvidia" in errors
    assert config == before


def test_an_engine_elsewhere_that_is_still_starting_is_asked_again(
    standins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(standins, "docker", doing='[ "$(wc -l <"$(dirname "$0")/calls")" -ge 3 ]')
    monkeypatch.setenv("PATH", str(standins), prepend=":")
    await_answer(60)
    assert len(calls(standins)) == 3


def test_an_engine_elsewhere_is_not_waited_for_forever(
    standins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(standins, "docker", doing="exit 1")
    monkeypatch.setenv("PATH", str(standins), prepend=":")
    with pytest.raises(LabError, match="nothing answers at DOCKER_HOST"):
        await_answer(0)


@pytest.mark.parametrize(
    ("systemd", "started"), [(True, "systemctl start docker"), (False, "dockerd")]
)
def test_an_engine_is_started_with_or_without_systemd(
    lab: Callable[..., Settings], standins: Path, tmp_path: Path, systemd: bool, started: str
) -> None:
    stand_in(standins, "systemctl", "dockerd", doing='touch "$(dirname "$0")/up"')
    stand_in(standins, "docker", doing='[ -e "$(dirname "$0")/up" ]')
    if systemd:
        (tmp_path / "systemd").mkdir()
    done = start_engine(lab(), standins, tmp_path)
    assert done.returncode == 0, done.stderr
    assert started in [call.strip() for call in calls(standins)]


def test_whoever_runs_the_lab_may_use_the_engine_from_now_on(
    lab: Callable[..., Settings], standins: Path, tmp_path: Path
) -> None:
    stand_in(standins, "gpasswd")
    socket = tmp_path / "docker.sock"
    socket.touch()
    socket.chmod(0o660)
    _, admit, _ = commands("docker.engine", lab(), **STOPPED)
    done = carry_out(admit, standins, {"/var/run/docker.sock": str(socket)})
    assert done.returncode == 0, done.stderr
    # Whoever is in the group has root's rights, and nobody was asked for that.
    assert not (standins / "calls").exists()
    listed = os.getxattr(socket, "system.posix_acl_access")[4:]
    # The entries are for the owner, a user, the group, the mask and the others.
    assert list(struct.iter_unpack("<HHI", listed)) == [
        (0x01, 6, NOBODY), (0x02, 6, 1000), (0x04, 6, NOBODY), (0x10, 6, NOBODY),
        (0x20, 0, NOBODY),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("install_docker", "before", "then"),
    [
        (True, "stopped", "stopped"),
        (False, "absent", "stopped"),
        # systemd starts what is installed.
        (False, "absent", "forbidden"),
        # Beside a client, an engine is installed with leave only.
        (True, "client", "forbidden"),
    ],
)
def test_whoever_runs_the_lab_joins_the_group_with_leave_or_if_the_run_installs_docker(
    lab: Callable[..., Settings],
    standins: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    install_docker: bool,
    before: str,
    then: str,
) -> None:
    monkeypatch.setattr(docker, "_installed", set())
    missing = {"stopped": [], "absent": [*CLIENT, *ENGINE], "client": ENGINE}[before]
    facts: dict[str, Any] = {
        "engine_state": {"reason": before},
        "machine_state": {"uid": 0, "missing": missing},
    }
    commands("docker.packages", lab(), facts=facts)
    facts = {**STOPPED["facts"], "engine_state": {"reason": then}}
    arguments = {"patience": 0, "install_docker": install_docker}
    _, admit, _ = commands("docker.engine", lab(), arguments=arguments, facts=facts)
    stand_in(standins, "gpasswd")
    (tmp_path / "docker.sock").touch()
    done = carry_out(admit, standins, {"/var/run/docker.sock": str(tmp_path / "docker.sock")})
    assert done.returncode == 0, done.stderr
    assert calls(standins) == ["gpasswd -a ada docker"]


def test_who_cannot_join_the_group_may_use_the_engine_for_this_login(
    standins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(standins, "gpasswd", doing="exit 1")
    monkeypatch.setenv("PATH", f"{standins}:{os.environ['PATH']}")
    socket = tmp_path / "docker.sock"
    socket.touch()
    admit_user("ada", 1000, str(socket), join=True)
    listed = os.getxattr(socket, "system.posix_acl_access")[4:]
    assert (0x02, 6, 1000) in struct.iter_unpack("<HHI", listed)


def test_who_is_in_the_engines_group_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    group = grp.struct_group(("docker", "x", 998, ["ada"]))
    monkeypatch.setattr(os, "getgrouplist", lambda user, own: [own, *{"ada": [998]}.get(user, [])])
    monkeypatch.setattr(grp, "getgrgid", {998: group}.__getitem__)
    assert is_member("ada", 1000)
    assert not is_member("bob", 1001)


@pytest.mark.parametrize(
    ("own", "others", "seen"), [(998, [], True), (1000, [4, 998], True), (1000, [4], False)]
)
def test_a_login_is_in_the_group_only_if_it_began_with_it(
    own: int, others: list[int], seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = grp.struct_group(("docker", "x", 998, ["ada"]))
    monkeypatch.setattr(grp, "getgrgid", {998: group}.__getitem__)
    monkeypatch.setattr(os, "getegid", lambda: own)
    monkeypatch.setattr(os, "getgroups", lambda: others)
    # What the group database says of the user by now does not count.
    monkeypatch.setattr(os, "getgrouplist", lambda user, gid: [gid, 998])
    assert has_group() is seen


@pytest.mark.parametrize("code", [0, 1])
def test_an_engine_that_runs_and_does_not_answer_the_user_is_a_failure(
    code: int, standins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(standins, "docker", doing=f"exit {code}")
    monkeypatch.setenv("PATH", str(standins), prepend=":")
    if code == 0:
        check_use("ada")
    else:
        with pytest.raises(LabError, match="does not answer ada"):
            check_use("ada")
    assert calls(standins) == ["docker version"]


def test_an_engine_that_does_not_come_up_is_not_waited_for_forever(
    lab: Callable[..., Settings], standins: Path, tmp_path: Path
) -> None:
    stand_in(standins, "dockerd")
    stand_in(standins, "docker", doing="exit 1")
    done = start_engine(lab(), standins, tmp_path, {"+ 30))": "+ 1))"})
    assert done.returncode == 1 and "Docker is unavailable" in done.stderr


def test_nor_is_systemd_when_it_starts_the_engine(
    lab: Callable[..., Settings], standins: Path, tmp_path: Path
) -> None:
    stand_in(standins, "systemctl", doing="sleep 60")
    stand_in(standins, "docker", doing="exit 1")
    (tmp_path / "systemd").mkdir()
    short = {"timeout 60": "timeout 0.1", "+ 30))": "+ 1))"}
    done = start_engine(lab(), standins, tmp_path, short)
    assert done.returncode == 1 and "Docker is unavailable" in done.stderr


def start_engine(
    settings: Settings, standins: Path, place: Path, instead: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command, *_ = commands("docker.engine", settings, **STOPPED)
    places = {"/run/systemd/system": f"{place}/systemd", "/var/log/dockerd.log": f"{place}/log"}
    return carry_out(command, standins, places | dict(instead or {}))


def test_the_last_lab_of_a_root_takes_the_store_along_and_no_other_does(
    lab: Callable[..., Settings], standins: Path
) -> None:
    stand_in(standins, "docker", "xargs")
    settings, other = lab(), lab(lab="other")
    root = Path(settings.root)
    for folder in (settings.lab_dir, other.lab_dir, f"{root}/store", f"{root}/cache/modules"):
        Path(folder).mkdir(parents=True)
    Path(root, "cache/modules/file").touch()
    Path(root, "cache/modules").chmod(0o555)

    def purge(one: Settings) -> None:
        (command,) = commands("lab.removal", one, settings={}, facts={"lab_folder": ["true"]})
        assert carry_out(command, standins).returncode == 0

    purge(settings)
    assert not Path(settings.lab_dir).exists()
    assert Path(other.lab_dir).exists() and Path(root, "store").exists()
    purge(other)
    assert not root.exists()
