"""The step that provides Git: the embedded server, or accounts on any other."""

from __future__ import annotations

from sopslab.artifacts.catalog import pinned_catalog
from sopslab.config.environment import at_seat
from sopslab.config.naming import node_name
from sopslab.config.places import FLUX, INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.files.archive import Tree, digest
from sopslab.files.render import RenderedFile, render_tree
from sopslab.layout import (
    FLUX_NAMESPACE,
    RECEIVER,
    RECEIVER_PORT,
    TEMPLATES,
    git_pod_sources,
    git_server_sources,
)
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import git, kubernetes
from sopslab.provision.operations.tree import tree
from tasks.expiry import refuse_ended
from tasks.roster import enrolled, enrolment_of

# Of Flux's Receiver within the cluster.
_SERVICE_PORT = 80


@step(Step.GIT)
def provide_git(settings: Settings) -> None:
    """Serve the platform repository and the learners' repositories, each to those it concerns."""
    enrolment = enrolment_of(settings)
    users = (INSTRUCTOR, FLUX, settings.learner.id, *(seat.id for seat in enrolment.seats))
    if settings.git_url is not None:
        git.accounts(
            name="Store the accounts",
            settings=settings,
            users=users,
            username=settings.git_username or "",
            password=settings.git_password or "",
        )
        return
    git.users(name="Make passwords", settings=settings, users=users)
    if enrolment.seats or enrolment.archived:
        refuse_ended(settings)
    if settings.git_embedded:
        git.repositories(
            name="Create the repositories",
            settings=settings,
            repositories=_repositories(settings),
        )
    if settings.networked:
        # Imported here: it brings cryptography, and a lab on loopback has no CA.
        from sopslab.provision.operations import tls

        tls.ca(name="Make the CA", settings=settings)
        tls.certificate(name="Certify the Git server", settings=settings)
    configuration = server_configuration(settings)
    tree(
        name="Write the server's configuration",
        path=f"{settings.git_dir}/etc",
        files=configuration,
    )
    if not settings.git_embedded:
        return
    programs = server_programs()
    tree(
        name="Deliver the policy of the pre-receive hook",
        path=f"{settings.git_dir}/policy",
        files=programs,
    )
    git.server(
        name=f"Serve at {settings.git_base_url}",
        settings=settings,
        image=pinned_catalog(settings.catalog).git_tag,
        configuration={**configuration, **programs},
    )


@step(Step.GIT)
def serve_in_cluster(settings: Settings) -> None:
    """Run the Git server in the cluster, where the lab file wants it there, with the recipients and
    the passwords that this machine has for it."""
    run_in_cluster(settings)


def run_in_cluster(settings: Settings) -> None:
    """Bring the Git server in the cluster, if there is to be one, to what this machine has for
    it."""
    if settings.git_in_cluster is None:
        return
    git.pod_manifests(
        name="Lay out the Git server", settings=settings, made_of=server_made_of(settings.catalog)
    )
    kubernetes.manifests(
        name="Apply the Git server", settings=settings, path=settings.git_manifests
    )
    git.pod(name=f"Serve at {settings.git_base_url}", settings=settings)
    git.repositories(
        name="Create the repositories",
        settings=settings,
        repositories=_repositories(settings),
    )


def _repositories(settings: Settings) -> tuple[str, ...]:
    of_seats = (at_seat(seat).repository for seat in enrolled(settings))
    return ("platform", settings.learner_repository, *of_seats)


def server_configuration(settings: Settings) -> Tree:
    """Return what the server starts with: the gate, which knows who may do what, and the hooks."""
    host, port = _receiver(settings)
    return render_tree(
        TEMPLATES / "git",
        {
            "instructor": INSTRUCTOR,
            "flux": FLUX,
            "learner": settings.learner.id,
            "receiver_name": RECEIVER,
            "receiver_namespace": FLUX_NAMESPACE,
            "receiver_host": host,
            "receiver_port": port,
        },
    )


def _receiver(settings: Settings) -> tuple[str, int]:
    """Return where the server reaches Flux's Receiver: by the node, or from within the cluster by
    its Service."""
    if settings.git_pod is not None:
        return f"receiver.{FLUX_NAMESPACE}.svc", _SERVICE_PORT
    return node_name(settings.lab), RECEIVER_PORT


def server_programs() -> Tree:
    """Return the server and the policy as its Python runs them: those packages, nothing else."""
    return {
        path: RenderedFile(source.read_bytes(), executable=False)
        for path, source in git_server_sources().items()
    }


def server_made_of(catalog: str) -> str:
    """Return what the Git server's image in a registry is known by: the image of the embedded one,
    and the programs that are mounted into that.

    + catalog: the file of what is pinned
    """
    programs = {
        path: RenderedFile(source.read_bytes(), executable=False)
        for path, source in git_pod_sources().items()
    }
    image = pinned_catalog(catalog).git_tag.partition(":")[2]
    return f"{image}-{digest(programs)[:12]}"
