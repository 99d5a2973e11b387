"""Where a lab keeps its files, and how its parts are reached.

Both `Settings` and `Lab` have these properties. The program on the lab's machine gets a `Lab`: it
starts without the library that validates settings, whose import takes longer than its work.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from sopslab.config.engine import EVERYWHERE, engine_host, kind_of_name
from sopslab.config.naming import git_server_name, git_service_name

# The port of the embedded Git server inside its container.
GIT_SERVER_PORT = 8080
# The user and the group of the Git server where root runs the lab: a number that nobody else has,
# because neither distributions nor systemd assign it.
GIT_SERVER_USER = 60941

# The lab's own users of the Git server, besides the learner.
INSTRUCTOR = "instructor"
FLUX = "flux"


@dataclass(frozen=True)
class GitPod:
    """Where learners and this machine reach the Git server that a lab has in its cluster."""

    host: str
    port: int


def lease_file(root: str, lab: str) -> str:
    """Return the file that records how long a lab in a root is to stay."""
    return f"{root}/labs/{lab}/lease.json"


def enrolled_file(root: str, lab: str) -> str:
    """Return the file that records who has a seat in the class of a lab."""
    return f"{root}/labs/{lab}/class/roster.json"


def platform_clone(root: str, lab: str) -> str:
    """Return the clone of the platform repository of a lab."""
    return f"{root}/labs/{lab}/platform"


class Places:
    """Paths, addresses and names that follow from the name of a lab and the place of its root."""

    if TYPE_CHECKING:  # At run time, pydantic would take these for fields of `Settings`.
        lab: str
        root: str
        cluster_provider: str
        context: str | None
        git_bind: str
        git_port: int
        git_url: str | None
        git_cluster_url: str | None
        docker_host: str | None
        instructor_recipient: str | None

        @property
        def learner_id(self) -> str:
            """The id of the learner who works on a lab without a class."""

        @property
        def git_pod(self) -> GitPod | None:
            """Where the lab's Git server in the cluster is reached; None if there is none."""

    @property
    def lab_dir(self) -> str:
        """The lab's own folder, with keys, Git data, kubeconfig and clones."""
        return f"{self.root}/labs/{self.lab}"

    @property
    def restoring_dir(self) -> str:
        """Where a backup of this lab is unpacked before it replaces `lab_dir`."""
        return f"{self.root}/labs/.new.{self.lab}"

    @property
    def format_file(self) -> str:
        """The file that says which format `lab_dir` has."""
        return f"{self.lab_dir}/format"

    @property
    def store(self) -> str:
        """Where artifacts lie, for every lab of this root."""
        return f"{self.root}/store"

    @property
    def pushed_images(self) -> str:
        """The record of the Git server's image in registries, for every lab of this root."""
        return f"{self.root}/pushed-images.json"

    @property
    def bin_dir(self) -> str:
        """The tools of the lab, to put in front of a PATH."""
        return f"{self.root}/bin"

    @property
    def lab_kubeconfig(self) -> str:
        """The kubeconfig of this lab's cluster, never the user's own."""
        return f"{self.lab_dir}/kubeconfig"

    @property
    def lease_file(self) -> str:
        """The file that records how long the lab is to stay, if it has a lease."""
        return lease_file(self.root, self.lab)

    @property
    def reach_file(self) -> str:
        """The record of what pods on each node of an existing cluster have reached."""
        return f"{self.lab_dir}/reach.json"

    @property
    def id_file(self) -> str:
        """The id of this lab: by it the lab knows its own objects in an existing cluster."""
        return f"{self.lab_dir}/id"

    @property
    def clusters_file(self) -> str:
        """The record of the existing clusters that this lab was in before labs had ids. In these,
        objects with the lab's name and without an id belong to this lab."""
        return f"{self.lab_dir}/clusters.json"

    @property
    def issuer_file(self) -> str:
        """The record of who vouches for learners in an existing cluster."""
        return f"{self.class_dir}/issuer.json"

    @property
    def node_dir(self) -> str:
        """The files that the node mounts: patches for kubeadm, settings for containerd, and the
        processors that starting pods may take."""
        return f"{self.lab_dir}/node"

    @property
    def served_api(self) -> str:
        """What the cluster says about its own API, kept if the store has no sources of that API."""
        return f"{self.lab_dir}/api"

    @property
    def lab_context(self) -> str:
        """The context in `lab_kubeconfig`."""
        return self.context or f"kind-{self.lab}"

    @property
    def keys_dir(self) -> str:
        """Where the age identities lie."""
        return f"{self.lab_dir}/keys"

    @property
    def class_dir(self) -> str:
        """The folder of the lab's class: who is enrolled, and a folder for each seat."""
        return f"{self.lab_dir}/class"

    @property
    def kube_cache(self) -> str:
        """kubectl's cache of the cluster's API, which would otherwise be in the user's ~/.kube."""
        return f"{self.lab_dir}/kube-cache"

    def account_dir(self, user: str) -> str:
        """The folder of a user's login to the Git server: username, password, git-credentials."""
        return f"{self.git_dir}/credentials/{user}"

    def login_file(self, user: str) -> str:
        """A user's login in the format of git's credential store."""
        return f"{self.account_dir(user)}/git-credentials"

    def seat_dir(self, seat: str) -> str:
        """The folder of a seat: the client certificate or the token, the kubeconfig, the card."""
        return f"{self.class_dir}/seats/{seat}"

    def retired_dir(self, seat: str) -> str:
        """The replaced access of a seat, which is kept until it is proven to be worth nothing."""
        return f"{self.class_dir}/retired/{seat}"

    @property
    def pruned_dir(self) -> str:
        """What archived seats had: a folder for each, named after its id and the time."""
        return f"{self.class_dir}/pruned"

    @property
    def git_dir(self) -> str:
        """The data of the embedded Git server, on the host so that it outlives the cluster."""
        return f"{self.lab_dir}/git"

    @property
    def handouts_dir(self) -> str:
        """What the embedded Git server hands out: the CA, and a folder for each learner."""
        return f"{self.git_dir}/access"

    def handout_dir(self, seat: str) -> str:
        """What the Git server hands out to one learner: their page and their kubeconfig."""
        return f"{self.handouts_dir}/{seat}"

    @property
    def engine_host(self) -> str | None:
        """The machine that runs the lab's containers; None if it is this one."""
        return engine_host(self.docker_host)

    @property
    def git_embedded(self) -> bool:
        """Whether the Git server is the embedded one, and the repositories are on this machine."""
        return self.git_url is None and self.git_pod is None

    @property
    def has_network(self) -> bool:
        """Whether the lab has a network of Docker's, for the containers that it runs."""
        return self.git_embedded or self.cluster_provider == "kind"

    @property
    def firewalled(self) -> bool:
        """Whether the lab has a network on this machine, whose traffic rules of the firewall keep
        here. Only root can look at these rules."""
        return self.has_network and self.engine_host is None

    @property
    def networked(self) -> bool:
        """Whether the lab's own Git server is reached over the network, at an address other than
        loopback. Then everything uses TLS."""
        return self.git_url is None and (
            self.git_pod is not None
            or self.engine_host is not None
            or not ipaddress.IPv4Address(self.git_bind).is_loopback
        )

    @property
    def git_address(self) -> str:
        """The host at which the lab's own Git server is reached."""
        return self.git_pod.host if self.git_pod else self.engine_host or self.git_bind

    @property
    def git_published(self) -> str:
        """The address at which the Git server's container publishes its port."""
        return EVERYWHERE if self.engine_host else self.git_bind

    @property
    def api_address(self) -> str:
        """The address at which a kind cluster publishes its API server: learners reach it like
        Git."""
        if self.engine_host:
            return EVERYWHERE
        return self.git_bind if self.networked else "127.0.0.1"

    @property
    def api_names(self) -> tuple[str, ...]:
        """The names in the API server's certificate, besides those of the node itself."""
        names = ("localhost", "127.0.0.1", self.api_address, self.engine_host)
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def tls_dir(self) -> str:
        """The folder of the CA of a networked lab."""
        return f"{self.lab_dir}/tls"

    @property
    def git_ca(self) -> str | None:
        """The certificate that clients of the lab's own Git server trust; None without TLS."""
        return f"{self.tls_dir}/ca.crt" if self.networked else None

    @property
    def git_server_names(self) -> tuple[tuple[str, str], ...]:
        """The names in the certificate of the lab's own Git server, as pairs of kind and name."""
        reached = (kind_of_name(self.git_address), self.git_address)
        if self.git_pod:
            return reached, ("DNS", git_service_name(self.lab))
        return (
            reached,
            ("IP", "127.0.0.1"),
            ("DNS", "localhost"),
            ("DNS", git_server_name(self.lab)),
        )

    @property
    def platform_dir(self) -> str:
        """The clone of the platform repository."""
        return platform_clone(self.root, self.lab)

    @property
    def manifests_dir(self) -> str:
        """The built platform repository, with which the cluster starts."""
        return f"{self.lab_dir}/manifests"

    @property
    def git_base_url(self) -> str:
        """The base URL at which this machine reaches the repositories."""
        port = self.git_pod.port if self.git_pod else self.git_port
        return self.git_url or f"{self._scheme}://{self.git_address}:{port}"

    @property
    def git_base_cluster_url(self) -> str:
        """The base URL at which the cluster reaches the repositories.

        A Git server in the cluster is reached by its Service, and the embedded one by its
        container's name, which only nodes on the lab's own Docker network can resolve. An existing
        cluster reaches a networked embedded server at the address that everybody uses.
        """
        if self.git_url:
            return self.git_cluster_url or self.git_url
        server = f"{git_server_name(self.lab)}:{GIT_SERVER_PORT}"
        if self.git_pod:
            server = f"{git_service_name(self.lab)}:{GIT_SERVER_PORT}"
        elif self.networked and self.cluster_provider == "existing":
            server = f"{self.git_address}:{self.git_port}"
        return self.git_cluster_url or f"{self._scheme}://{server}"

    @property
    def git_manifests(self) -> str:
        """The manifests of a Git server in the cluster, including its secrets."""
        return f"{self.lab_dir}/git-server.yaml"

    @property
    def _scheme(self) -> str:
        return "https" if self.networked else "http"

    @property
    def learner_repository(self) -> str:
        """The path of the learner's repository on the Git server, without `.git`."""
        return f"{self.learner_id}/lab"

    @property
    def work_dir(self) -> str:
        """The learner's clone."""
        return f"{self.lab_dir}/work"


@dataclass(frozen=True)
class Lab(Places):
    """What the program on the lab's machine is told about a lab."""

    lab: str
    root: str
    cluster_provider: str
    context: str | None
    git_bind: str
    git_port: int
    git_url: str | None
    git_cluster_url: str | None
    docker_host: str | None
    instructor_recipient: str | None
    learner_id: str
    git_pod: GitPod | None = None


@dataclass(frozen=True)
class Room(Lab):
    """What the controller keeps of a room: a lock, logs, keys, known hosts and what is packed for
    the seats, but no lab of its own."""

    @property
    @override
    def lab_dir(self) -> str:
        """The folder of the room on the controller."""
        return f"{self.root}/rooms/{self.lab}"

    @property
    def ssh_dir(self) -> str:
        """The folder with the known hosts and the configuration of `ssh` for them."""
        return f"{self.lab_dir}/ssh"
