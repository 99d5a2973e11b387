"""Where one learner's secrets go: alone on a lab, by the chapter's names, or at a seat of a class.

Pure. What provisions, checks or resets an environment takes these names and asks nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from sopslab.layout import FLUX_NAMESPACE, KUSTOMIZATION, NAMESPACE
from sopslab.naming import seat_namespace, seat_system_namespace
from sopslab.settings import Learner, Settings

# The GitRepository of a seat, in a namespace of the seat's own.
SEAT_SOURCE = "lab"


@dataclass(frozen=True)
class Environment:
    """The names of one learner's environment.

    `namespace` is where decrypted Secrets arrive, `system` where the source, the Kustomization and
    the key `sops-age` lie. `repository` is a path on the Git server, without `.git`; `key` names
    the identity in the lab's key store.
    """

    learner: Learner
    namespace: str
    system: str
    source: str
    repository: str
    kustomization: str = KUSTOMIZATION

    @property
    def key(self) -> str:
        """The identity that the cluster decrypts with."""
        return self.learner.id


def bare_repository(settings: Settings, environment: Environment) -> str:
    """Return the bare repository of a learner on the lab's machine.

    Where the Git server is not ours, that is a copy of the branches there.
    """
    if settings.git_url is not None:
        return f"{settings.lab_dir}/observed.git"
    return f"{settings.git_dir}/repositories/{environment.repository}.git"


def solo(settings: Settings) -> Environment:
    """Return the environment `develop` of a lab's one learner."""
    learner = settings.learner
    return Environment(learner, NAMESPACE, FLUX_NAMESPACE, learner.id, settings.learner_repository)


def at_seat(learner: Learner) -> Environment:
    """Return the environment of a learner in a class."""
    return Environment(
        learner,
        seat_namespace(learner.id),
        seat_system_namespace(learner.id),
        SEAT_SOURCE,
        f"{learner.id}/lab",
    )
