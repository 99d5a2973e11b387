"""Operations on the Docker engine and the lab's network."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.naming import bridge_name
from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.lab.act import engine as act
from sopslab.lab.observe import docker as observe
from sopslab.lab.observe.engine import CONFIG, engine_state, has_group, is_member, runtime_body
from sopslab.lab.observe.machine import machine_state
from sopslab.model.engine import GROUP, RUNTIME, body
from sopslab.provision.command import Commands, changing_machine, refusal, script, script_file
from sopslab.provision.facts.host import FirewallRules
from sopslab.provision.known import through_sudo
from sopslab.provision.look import forget, look_at_machine, recall_of_machine
from sopslab.provision.operations.host import packages as host_packages
from sopslab.provision.preflight import find_consents, find_engine_problems

CLIENT = ["docker"]
ENGINE = ["dockerd"]

RUNTIME_PATH = "/usr/local/libexec/sops-lab/oci-runtime"
OWNER_LABEL = "sops-lab.root"
_PID_FILE = "/var/run/docker.pid"
_SOCKET = "/var/run/docker.sock"


@operation()
def runtime(wrapper: str) -> Commands:
    """
    Put our OCI runtime in front of runc if the machine lacks what `--privileged` needs.

    + wrapper: the runtime, a program in Python
    """
    machine = look_at_machine(machine_state, root="/", commands=[])
    if not machine.restricted:
        host.noop("the machine gives containers every capability")
        return
    engine = recall_of_machine(engine_state)
    if engine.answers and engine.default_runtime == RUNTIME:
        if look_at_machine(runtime_body, path=RUNTIME_PATH) == body(wrapper):
            host.noop(f"{RUNTIME} is the default runtime")
            return
        note(f"the runtime {RUNTIME} was another one")
    else:
        note("this machine lacks a capability that privileged containers ask for")
    sudo = through_sudo()
    forget(engine_state)
    yield changing_machine(
        sudo,
        act.put_runtime_in_front,
        wrapper=wrapper,
        runtime=RUNTIME,
        path=RUNTIME_PATH,
        config=CONFIG,
        pid_file=_PID_FILE,
    )


# The hosts whose Docker engine has already been judged in this run.
_told: set[str] = set()
# The hosts on which there was no engine, so that it comes from this run.
_installed: set[str] = set()


@operation()
def preflight(settings: Settings) -> Commands:
    """
    Refuse a Docker engine that does not work for a lab, or that works only if something of the
    user's is changed although `install_docker` does not allow it. Nothing is installed or built
    before this.

    + settings: the lab's settings
    """
    _told.discard(host.name)
    _installed.discard(host.name)
    forget(engine_state)
    problems = _unsuitable(settings)
    if not problems and not settings.install_docker:
        machine = look_at_machine(machine_state, root="/", commands=[])
        problems = find_consents(machine, recall_of_machine(engine_state))
    if problems:
        yield refusal("\n".join(problems))
        return
    host.noop("nothing speaks against this Docker")


@operation()
def compatibility(settings: Settings) -> Commands:
    """
    Refuse a Docker engine that does not work for a lab, if it was started only after `preflight`.
    Also refuse an engine that has no place for firewall rules before its own: the lab's rules have
    to keep its traffic on this machine.

    + settings: the lab's settings
    """
    problems = [] if host.name in _told else _unsuitable(settings)
    if settings.firewalled and recall_of_machine(engine_state).answers:
        bridge = bridge_name(settings.lab)
        if not host.get_fact(FirewallRules, bridge=bridge, _sudo=through_sudo()).program:
            problems.append(
                "this Docker keeps neither a chain DOCKER-USER in iptables nor tables that `nft`"
                " lists, so traffic could not be kept on this machine: install nftables if Docker"
                ' works with it, or take `"iptables": false` out of /etc/docker/daemon.json and'
                " restart Docker"
            )
    if problems:
        yield refusal("\n".join(problems))
        return
    host.noop("a lab can work with this Docker")


def _unsuitable(settings: Settings) -> list[str]:
    engine = recall_of_machine(engine_state)
    if engine.traits.driver:
        _told.add(host.name)
    return find_engine_problems(engine, settings)


@operation()
def packages(offline: bool = False) -> Commands:
    """
    Install Docker from the distribution, unless an engine answers. If only a client is there, the
    engine is installed. If the engine is on another machine, only a missing client is installed.

    + offline: refuse a machine that lacks Docker, because no network may be used
    """
    found = recall_of_machine(engine_state)
    if found.answers:
        host.noop("the engine answers")
        return
    forget(engine_state)
    if found.reason in {"absent", "client"}:
        _installed.add(host.name)
    needed = CLIENT + ([] if found.reason == "remote" else ENGINE)
    yield from host_packages._inner(commands=needed, offline=offline)


@operation()
def engine(install_docker: bool, patience: int) -> Commands:
    """
    Start the Docker engine, with or without systemd, and let the user who runs the lab use it. If
    this run has installed it, or was told to, that user joins the group of those who may. An engine
    that this user cannot use in the end is refused. One that DOCKER_HOST names is not started, but
    may be waited for.

    + install_docker: whether the user's account may be added to that group
    + patience: how many seconds to wait for an engine that DOCKER_HOST names
    """
    found = recall_of_machine(engine_state)
    if found.answers:
        host.noop("the engine answers")
        return
    machine = look_at_machine(machine_state, root="/", commands=[])
    match found.reason:
        case "remote":
            note("Docker did not answer at DOCKER_HOST at once")
            forget(engine_state)
            yield changing_machine(False, act.await_answer, seconds=patience)
            return
        # Where systemd is, what was installed runs already, and its group is a new one.
        case "forbidden" if host.name not in _installed:
            yield refusal(
                f"Docker is running, but {machine.user} may not use it: run"
                f" `sudo gpasswd -a {machine.user} docker` and log in again"
            )
            return
    sudo = through_sudo()
    forget(engine_state)
    yield script_file("start-docker.sh", sudo=sudo)
    if machine.user != "root" and not look_at_machine(has_group):
        member = look_at_machine(is_member, user=machine.user, gid=machine.gid)
        join = not member and (install_docker or host.name in _installed)
        note(_what_is_given(machine.user, member=member, join=join))
        yield changing_machine(
            sudo, act.admit, user=machine.user, uid=machine.uid, socket=_SOCKET, join=join
        )
    yield changing_machine(False, act.check_use, user=machine.user)


def _what_is_given(user: str, *, member: bool, join: bool) -> str:
    """Return a sentence about how long a user may use the engine.

    + member: whether the user is in its group already, since this login began
    + join: whether the user joins the group
    """
    if join:
        return f"{user} was added to the group {GROUP}, which has root's rights on this machine"
    until = f"{user} may use Docker until it is restarted"
    if member:
        return f"{until}, and from the next login on by the group {GROUP}"
    return f"{until}; to stay so: `sudo gpasswd -a {user} {GROUP}`"


@operation()
def network(network: str, bridge: str, owner: str, present: bool = True) -> Commands:
    """
    Manage the lab's own Docker network. It is made before any container of the lab, because a
    container belongs to the lab only if it is on this network.

    + network: the name of the network
    + bridge: the host's interface for the network
    + owner: the root of the lab, with which the network is labelled
    + present: whether the network should exist
    """
    found = look_at_machine(observe.network, name=network)
    if found is not None and found.labels.get(OWNER_LABEL) != owner:
        if not present:
            host.noop(f"the network {network} is not this lab's")
            return
        yield refusal(
            f"the Docker network {network} belongs to another lab"
            f" ({found.labels.get(OWNER_LABEL, 'no owner')}): choose another name for this one"
        )
        return
    if present == (found is not None):
        host.noop(f"the network {network} is {'there' if present else 'gone'}")
        return
    if not present:
        yield script('timeout 60 docker network rm "$1" >/dev/null', network)
        return
    yield script(
        """
        timeout 60 docker network create --driver bridge --label "$3=$4" \\
            --opt "com.docker.network.bridge.name=$2" "$1" >/dev/null
        """,
        network,
        bridge,
        OWNER_LABEL,
        owner,
    )


@operation()
def removal(container: str, network: str) -> Commands:
    """
    Remove a container of the lab. A container of the same name on another network stays.

    + container: the name of the container
    + network: the lab's network
    """
    found = look_at_machine(observe.container, name=container)
    if found is None or network not in found.networks:
        host.noop(f"there is no container {container} of this lab")
        return
    yield script('timeout 60 docker rm -fv "$1" >/dev/null', container)
