"""The step that makes the machine ready: what it needs, and Docker. Also the kernel limits, which
the step Network raises once the lab has a network."""

from __future__ import annotations

from sopslab.config.naming import git_server_name, node_name
from sopslab.config.settings import Settings
from sopslab.layout import PACKAGE
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import docker, host, lab

# The commands that operations run; not every machine has setsid.
COMMANDS = ["git", "iptables", "setsid"]

# What kind asks of the kernel (kind.sigs.k8s.io, known issues, "too many open files"). With 128
# instances a fifth cluster on a machine had no kube-proxy.
LIMITS = {"fs.inotify.max_user_instances": 512, "fs.inotify.max_user_watches": 524288}


@step(Step.HOST)
def check_host(settings: Settings) -> None:
    """Refuse a lab of a newer product and ports that are taken, and clear up after earlier runs."""
    lab.compatibility(name="Check the lab's format", settings=settings, oldest=0)
    host.ports(name="Check the ports", ports=_published(settings))
    lab.beginning(name="Forget who failed earlier", settings=settings)
    lab.leftovers(name="Sweep up after a killed run", settings=settings)


@step(Step.HOST)
def prepare_host(settings: Settings) -> None:
    """Check the machine and its Docker, then install and start what is missing."""
    host.preflight(name="Check the machine", settings=settings)
    docker.preflight(name="Check Docker", settings=settings)
    # A bundle has no packages of the distribution, and allows no network to fetch them.
    offline = settings.artifact_source == "bundle"
    host.packages(name="Install what is missing", commands=COMMANDS, offline=offline)
    docker.packages(name="Install Docker", offline=offline)
    docker.engine(
        name="Wait for the Docker at DOCKER_HOST" if settings.docker_host else "Start Docker",
        install_docker=settings.install_docker,
        # In a CI job, whose lab has a lease, a Docker service starts together with the job.
        patience=60 if settings.lease else 0,
    )
    docker.compatibility(name="Check Docker as it runs", settings=settings)
    if settings.engine_host is None:
        docker.runtime(
            name="Let containers be privileged",
            wrapper=(PACKAGE / "lab" / "oci_runtime.py").read_text(),
        )


def raise_limits(settings: Settings) -> None:
    """Raise the kernel limits that kind needs. By the network of a lab, the `down` of another one
    knows that they are needed: so this comes after it."""
    for key, at_least in LIMITS.items():
        host.sysctl(
            name=f"Raise {key}",
            key=key,
            at_least=at_least,
            record=sysctl_record(settings, key),
        )


def _published(settings: Settings) -> dict[int, str]:
    """Return the ports of this machine that the lab publishes, and the container of each."""
    if settings.engine_host is not None:
        return {}
    embedded = settings.git_embedded
    ports = {settings.git_port: git_server_name(settings.lab)} if embedded else {}
    if settings.cluster_provider == "kind" and settings.api_port is not None:
        ports[settings.api_port] = node_name(settings.lab)
    return ports


def sysctl_record(settings: Settings, key: str) -> str:
    """Return the file that keeps what a kernel limit was before a lab raised it."""
    return f"{settings.root}/sysctl/{key}"
