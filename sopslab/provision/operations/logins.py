"""Operations that replace leaked passwords of the Git server, and prove that they are worthless."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.environment import Environment
from sopslab.config.places import FLUX
from sopslab.config.settings import Settings
from sopslab.lab.act import accounts, logins
from sopslab.lab.observe.leaked import leaked_logins
from sopslab.model.incidents import Cause
from sopslab.model.rotation import Login
from sopslab.provision.command import Commands, acting
from sopslab.provision.known import rotation_of
from sopslab.provision.look import look
from sopslab.provision.operations.rotating import unfinished


@operation()
def passwords(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Give new passwords to learners whose password leaked, and to Flux, which reads their
    repositories.

    + settings: the lab's settings
    + environments: the environments of the rotation
    """
    concerned = _concerned(settings, environments)
    if not concerned:
        host.noop("no password leaked")
        return
    users = [*(one.id for one in concerned), FLUX]
    states = look(settings, leaked_logins, kept=logins_dir(settings), users=users)
    unkept = [user for user in users if states.get(user) == "unkept"]
    leaked = [user for user in users if states.get(user) != "replaced"]
    if not leaked:
        host.noop("the passwords that leaked are replaced")
        return
    if unkept:
        yield acting(settings, logins.keep, folder=logins_dir(settings), users=unkept)
    yield acting(settings, accounts.renew, users=leaked)


@operation()
def proof(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Prove that leaked passwords are refused, and that the new ones work.

    + settings: the lab's settings
    + environments: the environments of the rotation
    """
    concerned = _concerned(settings, environments)
    if not concerned:
        host.noop("no password is left to be tried")
        return
    tried = [Login(one.id, one.id, one.repository) for one in concerned]
    # Flux has one password for all repositories, so it is tried once.
    tried.append(Login(concerned[0].id, FLUX, concerned[0].repository))
    yield acting(settings, logins.prove, folder=logins_dir(settings), logins=tried)


def _concerned(settings: Settings, environments: Sequence[Environment]) -> list[Environment]:
    """Return the environments whose password leaked and whose rotation is not over."""
    rotation = rotation_of(settings)
    if rotation is None or rotation.cause is not Cause.GIT_CREDENTIAL:
        return []
    return unfinished(settings, rotation, environments)


def logins_dir(settings: Settings) -> str:
    """Return the folder with the passwords that leaked. They are kept until it is proven that they
    are worthless."""
    return f"{settings.lab_dir}/rotations/{settings.incident}.logins"
