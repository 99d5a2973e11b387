"""The step that provides Git: the embedded server, or accounts on any other."""

from __future__ import annotations

from sopslab.artifacts.catalog import pinned_catalog
from sopslab.config.environment import at_seat
from sopslab.config.naming import node_name
from sopslab.config.places import FLUX, INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.files.archive import Tree
from sopslab.files.render import RenderedFile, render_tree
from sopslab.layout import (
    FLUX_NAMESPACE,
    RECEIVER,
    RECEIVER_PORT,
    TEMPLATES,
    git_server_sources,
)
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import git, tls
from sopslab.provision.operations.tree import tree
from tasks.expiry import refuse_ended
from tasks.roster import enrolled


@step(Step.GIT)
def provide_git(settings: Settings) -> None:
    """Serve the platform repository and the learners' repositories, each to those it concerns."""
    seats = enrolled(settings)
    users = (INSTRUCTOR, FLUX, settings.learner.id, *(seat.id for seat in seats))
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
    if seats:
        refuse_ended(settings)
    git.repositories(
        name="Create the repositories",
        settings=settings,
        repositories=(
            "platform",
            settings.learner_repository,
            *(at_seat(seat).repository for seat in seats),
        ),
    )
    if settings.networked:
        tls.ca(name="Make the CA", settings=settings)
        tls.certificate(name="Certify the Git server", settings=settings)
    configuration = server_configuration(settings)
    programs = server_programs()
    tree(
        name="Write the server's configuration",
        path=f"{settings.git_dir}/etc",
        files=configuration,
    )
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


def server_configuration(settings: Settings) -> Tree:
    """Return what the server starts with: the gate, which knows who may do what, and the hooks."""
    return render_tree(
        TEMPLATES / "git",
        {
            "instructor": INSTRUCTOR,
            "flux": FLUX,
            "learner": settings.learner.id,
            "node": node_name(settings.lab),
            "receiver_name": RECEIVER,
            "receiver_namespace": FLUX_NAMESPACE,
            "receiver_port": RECEIVER_PORT,
        },
    )


def server_programs() -> Tree:
    """Return the server and the policy as its Python runs them: those packages, nothing else."""
    return {
        path: RenderedFile(source.read_bytes(), executable=False)
        for path, source in git_server_sources().items()
    }
