"""The preflight: every lack is reported with the number found and the number needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.api.exceptions import DeployError, PyinfraError
from pyinfra.api.state import StateStage
from pyinfra.connectors.base import BaseConnector
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.context import ctx_host, ctx_state

from sopslab.config.settings import Settings
from sopslab.lab.observe import engine
from sopslab.lab.observe.engine import engine_state
from sopslab.model.engine import EngineState, EngineTraits
from sopslab.model.machine import MachineState, elsewhere
from sopslab.provision.known import through_sudo
from sopslab.provision.preflight import (
    find_building_problems,
    find_consents,
    find_engine_problems,
    find_problems,
    find_taken_ports,
)
from sopslab.run import session
from tests.texts import write_program

GIB = 1024 * 1024  # in KiB
LARGE = MachineState(
    uid=1000,
    gid=1000,
    user="ada",
    machine="x86_64",
    cpus=2,
    memory_kib=3 * GIB,
    disk_kib=4 * GIB,
    store_entries=14,
    writable=True,
    cgroup=2,
    bounding=0x1FFFFFFFFFF,
    last_capability=40,
    inotify_instances=128,
    inotify_watches=65536,
    manager="apt-get",
    missing=(),
)
SMALL = replace(LARGE, cpus=1, memory_kib=GIB, disk_kib=GIB // 2)
PORTS = {8418: "lab-git", 6443: "lab-control-plane"}


@pytest.fixture
def problems(lab: Callable[..., Settings]) -> Callable[..., list[str]]:
    """Return a function that says what a machine lacks, with changes to the lab's settings."""

    def find(machine: MachineState, *, running: bool = False, **changes: Any) -> list[str]:
        return find_problems(machine, lab(**changes), running=running)

    return find


def test_a_machine_that_is_just_large_enough_passes(problems: Callable[..., list[str]]) -> None:
    assert problems(LARGE) == []


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (replace(LARGE, cpus=1), "1 CPU found, 2 needed"),
        (replace(LARGE, memory_kib=3 * GIB - 200_000), "2.8 GiB memory free, 3.0 GiB needed"),
        (replace(LARGE, memory_kib=3 * GIB - 1), "2.9 GiB memory free, 3.0 GiB needed"),
        (replace(LARGE, disk_kib=GIB // 2), "0.5 GiB disk free, 4.0 GiB needed"),
    ],
)
def test_what_is_too_small_is_told_in_numbers(
    machine: MachineState, expected: str, problems: Callable[..., list[str]]
) -> None:
    (problem,) = problems(machine)
    assert problem == f"the machine is too small ({expected}); `--force` goes on anyway"


@pytest.mark.parametrize(
    ("source", "entries", "needed"),
    [
        ("auto", 0, None),
        ("upstream", 0, None),
        ("bundle", 0, None),
        ("modules", 0, "4.0 GiB disk free, 20.0 GiB needed"),
        ("modules", 1, None),
    ],
)
def test_the_disk_for_building_is_asked_for_where_the_lab_file_says_that_tools_are_built(
    source: str, entries: int, needed: str | None, problems: Callable[..., list[str]]
) -> None:
    said = f"the machine is too small ({needed}); `--force` goes on anyway"
    found = problems(replace(LARGE, store_entries=entries), artifact_source=source)
    assert found == ([said] if needed else [])


def test_everything_that_is_too_small_is_told_in_one_sentence(
    problems: Callable[..., list[str]],
) -> None:
    (problem,) = problems(SMALL)
    assert problem.count("needed") == 3


@pytest.mark.parametrize("machine", [replace(LARGE, memory_kib=GIB), replace(LARGE, disk_kib=GIB)])
def test_what_the_lab_itself_takes_is_not_missed(
    machine: MachineState, problems: Callable[..., list[str]]
) -> None:
    assert problems(machine, running=True) == []


def test_a_store_that_is_gone_is_built_anew_beside_a_cluster(
    problems: Callable[..., list[str]],
) -> None:
    machine = replace(LARGE, store_entries=0)
    (problem,) = problems(machine, running=True, artifact_source="modules")
    assert "4.0 GiB disk free, 20.0 GiB needed" in problem


def test_force_lets_a_small_machine_pass(
    problems: Callable[..., list[str]], lab: Callable[..., Settings]
) -> None:
    assert problems(SMALL, force=True) == []
    assert find_building_problems(SMALL, lab()) != []
    assert find_building_problems(SMALL, lab(force=True)) == []


@pytest.mark.parametrize("force", [False, True])
def test_force_does_not_overrule_what_cannot_work(
    force: bool, problems: Callable[..., list[str]]
) -> None:
    assert problems(replace(LARGE, writable=False, machine="riscv64"), force=force) == [
        "the root of the lab is not writable: choose another with SOPSLAB_ROOT",
        "the machine is riscv64: x86_64 or aarch64 is needed",
    ]


@pytest.fixture
def on_this_machine() -> Iterator[State]:
    """A run of pyinfra on this machine."""
    state = State(Inventory((["@local"], {})), Config())
    state.set_stage(StateStage.Connect)
    connect_all(state)
    with ctx_state.use(state), ctx_host.use(state.inventory.get_host("@local")):
        yield state


# A sudo that would wait for a password if it were not told that nobody answers.
ASKING = "#!/bin/sh\n[ $1 = -n ] || exec sleep 60\nexit %d\n"


def test_a_sudo_that_asks_for_a_password_is_said_instead_of_asked(
    on_this_machine: State,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_program(tmp_path / "sudo", ASKING % 1)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PyinfraError):
        through_sudo()
    assert [host.name for host in on_this_machine.failed_hosts] == ["@local"]
    assert "sudo asks for a password, which a run cannot answer" in caplog.text


@pytest.mark.parametrize(("user", "sudo"), [(0, False), (1000, True)])
def test_roots_rights_come_through_sudo_unless_root_runs_the_lab(
    user: int,
    sudo: bool,
    on_this_machine: State,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_program(tmp_path / "sudo", ASKING % 0)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert through_sudo() is sudo
    assert not on_this_machine.failed_hosts


def test_whoever_holds_a_port_is_named() -> None:
    assert find_taken_ports({6443: "other-control-plane", 8418: "another program"}, PORTS) == [
        "port 6443 is taken by other-control-plane: stop it, or choose another port for the lab",
        "port 8418 is taken by another program: stop it, or choose another port for the lab",
    ]


def test_the_labs_own_containers_may_hold_its_ports() -> None:
    assert find_taken_ports({8418: "lab-git", 6443: "lab-control-plane"}, PORTS) == []


def test_another_container_may_have_the_port_at_an_address_beside_the_labs_own() -> None:
    assert find_taken_ports({8418: "web lab-git"}, PORTS) == []
    assert len(find_taken_ports({8418: "web other-git"}, PORTS)) == 1


def test_the_labs_own_containers_may_not_hold_each_others_ports() -> None:
    assert len(find_taken_ports({8418: "lab-control-plane"}, PORTS)) == 1


def test_a_machine_with_every_capability_is_not_restricted() -> None:
    assert not LARGE.restricted
    assert replace(LARGE, bounding=LARGE.bounding & ~(1 << 24)).restricted
    assert replace(LARGE, bounding=0xA80425FB).restricted


# What each kind of engine says, and a part of the sentence that refuses it; None lets it pass. An
# engine that answers says which storage driver it has.
HOME = "/home/ada/.local/share/sops-lab"
HIDDEN_OF_ROOT = "/".join(("/root", ".lab"))
ENGINES: dict[str, tuple[EngineTraits, dict[str, Any], str | None]] = {
    "debian": (EngineTraits(driver="overlay2", security="name=seccomp,profile=default"), {}, None),
    "containerd-store": (EngineTraits(driver="overlayfs", system="Ubuntu 24.04"), {}, None),
    "docker-ce-on-fedora": (
        EngineTraits(
            driver="overlayfs",
            system="Fedora Linux 43 (Server Edition)",
            security="name=seccomp,profile=builtin name=selinux name=cgroupns ",
        ),
        {},
        None,
    ),
    "btrfs": (EngineTraits(driver="btrfs"), {}, None),
    "absent": (EngineTraits(), {}, None),
    "podman": (EngineTraits(podman=True), {}, "Podman's here, and the lab needs Docker itself"),
    "rootless": (EngineTraits(security="name=rootless name=cgroupns"), {}, "is rootless"),
    "desktop": (EngineTraits(system="Docker Desktop"), {}, "this is Docker Desktop"),
    "userns": (EngineTraits(security="name=userns"), {}, "take `userns-remap` out"),
    "zfs": (EngineTraits(driver="zfs"), {"artifact_source": "auto"}, "storage driver is zfs"),
    "zfs-modules": (EngineTraits(driver="zfs"), {"artifact_source": "modules"}, "use overlay2"),
    "zfs-upstream": (EngineTraits(driver="zfs"), {"artifact_source": "upstream"}, None),
    "fuse": (EngineTraits(driver="fuse-overlayfs"), {}, "storage driver is fuse-overlayfs"),
    "snap": (EngineTraits(snap=True), {"root": HOME}, f"a snap, which cannot read {HOME}"),
    "snap-tmp": (EngineTraits(snap=True), {"root": "/tmp/lab"}, "set SOPSLAB_ROOT to a folder"),
    "snap-srv": (EngineTraits(snap=True), {"root": "/srv/lab"}, "which cannot read /srv/lab"),
    "snap-root": (EngineTraits(snap=True), {"root": HIDDEN_OF_ROOT}, "a snap, which cannot read"),
    "snap-mnt": (EngineTraits(snap=True), {"root": "/mnt/lab"}, "connect docker:removable-media"),
    "snap-media": (EngineTraits(snap=True), {"root": "/media/lab"}, "docker:removable-media"),
    "snap-connected": (EngineTraits(snap=True, media=True), {"root": "/run/media/lab"}, None),
    "snap-srv-connected": (
        EngineTraits(snap=True, media=True),
        {"root": "/srv/lab"},
        "set SOPSLAB_ROOT",
    ),
    "snap-seen": (EngineTraits(snap=True), {"root": "/home/ada/lab/.x"}, None),
    "snap-seen-by-root": (EngineTraits(snap=True), {"root": "/root/lab"}, None),
    "proxies": (EngineTraits(proxies="/x/config.json"), {}, "config.json has proxies"),
    "context": (
        EngineTraits(context="build", endpoint="ssh://ada@build.example", security="name=userns"),
        {},
        "the Docker context build leads to another machine",
    ),
    "context-tcp": (
        EngineTraits(context="ci", endpoint="tcp://ci:2376"),
        {},
        "Docker context ci leads",
    ),
    "context-here": (EngineTraits(context="rootful", endpoint="unix:///run/docker.sock"), {}, None),
    "context-loopback": (
        EngineTraits(context="vm", endpoint="tcp://127.0.0.1:2375", driver="overlay2"),
        {},
        None,
    ),
    "context-loopback-stopped": (
        EngineTraits(context="vm", endpoint="tcp://127.0.0.1:2375"),
        {},
        "the Docker context vm leads to tcp://127.0.0.1:2375, where no Docker answers: `docker",
    ),
    "context-of-another-socket": (
        EngineTraits(context="mine", endpoint="unix:///srv/docker.sock", driver="overlay2"),
        {},
        None,
    ),
    # What the run could start is another engine than the one that the client asks.
    "context-of-another-socket-stopped": (
        EngineTraits(context="rootless", endpoint="unix:///run/user/1000/docker.sock"),
        {},
        "leads to unix:///run/user/1000/docker.sock, where no Docker answers",
    ),
}


@pytest.mark.parametrize("kind", ENGINES)
def test_an_engine_that_a_lab_cannot_work_with_is_refused_in_a_sentence(
    kind: str, lab: Callable[..., Settings]
) -> None:
    traits, changes, expected = ENGINES[kind]
    engine = EngineState(answers=bool(traits.driver), traits=traits)
    found = find_engine_problems(engine, lab(**changes))
    if expected is None:
        assert found == []
    else:
        (sentence,) = found
        assert expected in sentence
        assert "\n" not in sentence


def test_all_that_speaks_against_an_engine_is_told_at_once(lab: Callable[..., Settings]) -> None:
    traits = EngineTraits(driver="zfs", security="name=userns", proxies="/x/config.json")
    assert len(find_engine_problems(EngineState(True, traits=traits), lab())) == 3


def test_what_is_the_users_is_not_changed_without_leave() -> None:
    restricted = replace(LARGE, bounding=0xA80425FB)
    (sentence,) = find_consents(LARGE, EngineState(False, "client"))
    assert "`--install-docker`" in sentence
    (sentence,) = find_consents(restricted, EngineState(False, "stopped", configured=True))
    assert "daemon.json is yours" in sentence
    # Nothing is there, nothing is needed, nothing is the user's, and everything is the lab's own.
    assert find_consents(restricted, EngineState(False, "absent")) == []
    assert find_consents(LARGE, EngineState(True, configured=True)) == []
    assert find_consents(restricted, EngineState(True)) == []
    assert find_consents(restricted, EngineState(True, "", "sops-lab", configured=True)) == []


@pytest.mark.parametrize(
    ("text", "configured"),
    [
        (None, False),
        ("", False),
        ("{}\n", False),
        ('{"default-runtime": "sops-lab", "runtimes": {}}', False),
        ('{"log-driver": "local"}', True),
        ('{"default-runtime": "nvidia"}', True),
        ("[1]", True),
        ("{", True),
    ],
)
def test_a_configuration_is_the_users_unless_it_is_a_labs(
    text: str | None, configured: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "daemon.json"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(engine, "CONFIG", str(file))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    assert engine_state().configured is configured


@pytest.mark.parametrize(("there", "reason"), [(False, "absent"), (True, "client")])
def test_without_an_engine_it_is_told_whether_a_client_is_there(
    there: bool, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if there:
        write_program(tmp_path / "docker", "#!/bin/sh\nexit 1\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(engine, "SYSTEM_FOLDER", str(tmp_path))
    found = engine_state()
    assert (found.answers, found.reason) == (False, reason)


@pytest.mark.parametrize(
    ("listed", "reason"), [(b"", "stopped"), (b"0: 1 0 00 /run/docker.sock\n", "forbidden")]
)
def test_an_engine_that_does_not_answer_is_told_by_whether_its_socket_is_bound(
    listed: bytes, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("bin/docker", "sbin/dockerd"):
        write_program(tmp_path / program, "#!/bin/sh\nexit 1\n")
    # The engine is in a folder that is not in the user's PATH.
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(engine, "SYSTEM_FOLDER", str(tmp_path / "sbin"))
    monkeypatch.setattr(engine, "_SOCKET", str(tmp_path / "docker.sock"))
    monkeypatch.setattr(engine, "read", lambda path: listed if path == "/proc/net/unix" else None)
    assert engine_state().reason == reason


# Programs called docker, and what the preflight says about them.
INFO = "driver=overlay2\nsystem=Debian\nfolder=/var/lib/docker\nsecurity=name=seccomp "
SNAP = INFO.replace("/var/lib/docker", "/var/snap/docker/common/var-lib-docker")
PODMAN = INFO.replace("/var/lib/docker", "/var/lib/containers/storage")
CLIENTS = {
    "docker": ("Docker version 28.2.2", INFO, "", EngineTraits()),
    "podman-docker": ("podman version 4.3.1", "", "", EngineTraits(podman=True)),
    "podman-docker-quiet": ("Emulate Docker CLI using podman", "", "", EngineTraits(podman=True)),
    "socket-of-podman": ("Docker version 28.2.2", PODMAN, "", EngineTraits(podman=True)),
    "stopped": ("Docker version 28.2.2", "", "", EngineTraits()),
    "snap": ("Docker version 28.2.2", SNAP, "", EngineTraits(snap=True)),
    "proxies": (
        "Docker version 28.2.2", INFO,
        '{"proxies": {"default": {"httpProxy": "http://ada:hunter-2@proxy.corp:3128"}}}',
        EngineTraits(proxies="CONFIG"),
    ),
    "proxies-of-one-engine": (
        "Docker version 28.2.2", INFO,
        '{"proxies": {"tcp://x": {\n"httpsProxy" : "http://proxy.corp"}}}',
        EngineTraits(proxies="CONFIG"),
    ),
    "no-proxies": (
        "Docker version 28.2.2", INFO,
        '{"auths": {"x": {"auth": "aHVudGVyLTI="}}, "proxies": {"default": {"httpProxy": ""}}}',
        EngineTraits(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CLIENTS)
def test_what_an_engine_is_like_is_read_off_its_client(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, info, config, expected = CLIENTS[kind]
    write_program(
        tmp_path / "docker",
        f"""#!/bin/sh
case $1 in
--version) echo '{version}' ;;
info) [ -n '{info}' ] && printf '%s\\n' '{info}' ;;
esac
""",
    )
    (tmp_path / "config.json").write_text(config)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    found = engine_state().traits
    assert found.podman == expected.podman
    assert found.snap == expected.snap
    assert found.proxies == expected.proxies.replace("CONFIG", str(tmp_path / "config.json"))
    assert found.driver == ("overlay2" if info else "")
    assert "hunter" not in str(found)


# What a client of Docker says of its contexts, as the real one does.
CONTEXTS = """#!/bin/sh
[ "$1 $2" = "context inspect" ] || exit 1
case ${DOCKER_HOST:-${DOCKER_CONTEXT:-used}} in
tcp*) echo "default=$DOCKER_HOST" ;;
used) echo "build=ssh://ada@build.example" ;;
here) echo "here=unix:///run/docker.sock" ;;
*) exit 1 ;;
esac
"""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ("build", "ssh://ada@build.example")),
        ({"DOCKER_CONTEXT": "here"}, ("here", "unix:///run/docker.sock")),
        ({"DOCKER_CONTEXT": "gone"}, ("", "")),
        ({"DOCKER_HOST": "tcp://docker:2376"}, ("", "")),
        ({"DOCKER_HOST": "tcp://docker:2376", "DOCKER_CONTEXT": "here"}, ("", "")),
    ],
)
def test_the_context_that_the_client_uses_is_seen_unless_docker_host_names_the_engine(
    variables: dict[str, str],
    expected: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_program(tmp_path / "docker", CONTEXTS)
    (tmp_path / "config.json").write_text('{"currentContext": "used"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    traits = engine_state().traits
    assert (traits.context, traits.endpoint) == expected


INFO_OF_DOCKER = f"version=28.2.2\nruntime=sops-lab\n{INFO}"


def test_a_client_of_a_snap_is_known_by_where_its_link_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(tmp_path / "snap", f"#!/bin/sh\necho '{INFO_OF_DOCKER}'\n")
    (tmp_path / "docker").symlink_to("snap")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert engine_state().traits.snap


@pytest.mark.parametrize(
    ("slot", "seen"), [(":removable-media   manual", True), ("-                  -", False)]
)
def test_whether_a_snap_reads_media_is_seen_in_its_connections(
    slot: str, seen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(tmp_path / "docker", f"#!/bin/sh\necho '{SNAP}'\n")
    listed = f"""Interface        Plug                    Slot               Notes
home             docker:home             :home              -
removable-media  docker:removable-media  {slot}"""
    answer = f"[ $1 = connections ] && [ $2 = docker ] && echo '{listed}'"
    write_program(tmp_path / "snap", f"#!/bin/sh\n{answer}\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert engine_state().traits.media is seen


def test_an_engine_answers_only_where_its_client_does_not_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(tmp_path / "docker", f"#!/bin/sh\necho '{INFO_OF_DOCKER}'; exit 1\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert not engine_state().answers


@pytest.mark.parametrize(
    ("info", "address", "expected"),
    [
        (INFO_OF_DOCKER, "", (True, "", "sops-lab")),
        (INFO_OF_DOCKER, "tcp://192.0.2.7", (True, "", "sops-lab")),
        ("version=\nruntime=", "tcp://192.0.2.7", (False, "remote", "")),
        ("", "tcp://192.0.2.7", (False, "remote", "")),
    ],
)
def test_whether_an_engine_answers_is_asked_once(
    info: str,
    address: str,
    expected: tuple[bool, str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_program(
        tmp_path / "docker", f"#!/bin/sh\n[ $1 = info ] && [ -n '{info}' ] && echo '{info}'\n"
    )
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("DOCKER_HOST", address)
    found = engine_state()
    assert (found.answers, found.reason, found.default_runtime) == expected


@pytest.mark.parametrize(
    ("system", "named", "guest"),
    [
        ("Darwin", "macOS", "Lima, colima or OrbStack"),
        ("Windows", "Windows", "WSL2"),
        ("FreeBSD", "FreeBSD", "Debian"),
    ],
)
def test_another_system_is_told_where_a_lab_can_be(system: str, named: str, guest: str) -> None:
    said = elsewhere(system)
    assert f"this is {named}:" in said
    assert guest in said
    assert "devcontainer" in said


def test_linux_is_fit() -> None:
    assert elsewhere("Linux") == ""


def on(connector: type[BaseConnector], data: dict[str, Any]) -> SimpleNamespace:
    """A host of pyinfra, as far as a run looks at it when it begins."""
    host_data = SimpleNamespace(dict=lambda: data)
    return SimpleNamespace(connector=object.__new__(connector), data=host_data)


def test_a_run_on_a_mac_is_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr(session, "host", on(LocalConnector, {}))
    with pytest.raises(DeployError, match="this is macOS"):
        session.begin()


def test_a_mac_may_provision_machines_that_it_reaches_over_ssh(
    lab_data: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr(session, "host", on(SSHConnector, lab_data(lab="seat")))
    monkeypatch.setattr(session, "state", SimpleNamespace(callback_handlers=[session._Guard()]))
    assert session.begin().lab == "seat"
