"""The names of a learner's environment: the chapter's for one alone on a lab, else a seat's.

Pure. Code that provisions, checks or resets an environment takes all names from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sopslab.config.naming import seat_namespace, seat_system_namespace
from sopslab.config.places import Places
from sopslab.layout import FLUX_NAMESPACE, KUSTOMIZATION, NAMESPACE

if TYPE_CHECKING:
    from sopslab.config.settings import Learner, Settings

# The GitRepository of a seat, in a namespace of the seat's own.
SEAT_SOURCE = "lab"


@dataclass(frozen=True)
class Environment:
    """The names of one learner's environment, and who works there: `id`, `name`, `email`.

    `namespace` is where decrypted Secrets arrive, `system` where the source, the Kustomization and
    the key `sops-age` lie. `repository` is a path on the Git server, without `.git`; `key` names
    the identity in the lab's key store, and `login` the Secret with which Flux reads Git.
    """

    id: str
    name: str
    email: str
    namespace: str
    system: str
    source: str
    repository: str
    login: str
    kustomization: str = KUSTOMIZATION

    @property
    def learner(self) -> dict[str, str]:
        """The learner who works there, in the form that templates take."""
        return {"id": self.id, "name": self.name, "email": self.email}

    @property
    def key(self) -> str:
        """The name of the identity with which the cluster decrypts."""
        return self.id

    @property
    def account(self) -> str:
        """The ServiceAccount that the Kustomization acts as."""
        return "reconciler" if self.is_seat else self.kustomization

    @property
    def is_seat(self) -> bool:
        """Whether it is a seat of a class; otherwise its objects are in Flux's own namespace."""
        return self.system != FLUX_NAMESPACE

    @property
    def tenant(self) -> str:
        """The Kustomization in flux-system that makes the environment."""
        return f"tenant-{self.id}" if self.is_seat else FLUX_NAMESPACE


def bare_repository(places: Places, environment: Environment) -> str:
    """Return the bare repository of a learner on the lab's machine.

    If the Git server is in the cluster, this is a copy of the repository there
    (`lab.observe.copies`); if it is not the lab's own, a copy of the branches.
    """
    if places.git_url is not None:
        return f"{places.lab_dir}/observed.git"
    return f"{places.git_dir}/repositories/{environment.repository}.git"


def solo(settings: Settings) -> Environment:
    """Return the environment `develop` of a lab's one learner."""
    learner = settings.learner
    return Environment(
        learner.id,
        learner.name,
        learner.email,
        NAMESPACE,
        FLUX_NAMESPACE,
        learner.id,
        settings.learner_repository,
        # Flux reads the platform repository with the same login.
        FLUX_NAMESPACE,
    )


def at_seat(learner: Learner) -> Environment:
    """Return the environment of a learner in a class."""
    return Environment(
        learner.id,
        learner.name,
        learner.email,
        seat_namespace(learner.id),
        seat_system_namespace(learner.id),
        SEAT_SOURCE,
        f"{learner.id}/lab",
        "git-credentials",
    )
