"""Operations on the Git server, its repositories and the clones."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyinfra import host
from pyinfra.api import operation

from sopslab.checks.causes import for_shell
from sopslab.config.naming import git_server_name, network_name
from sopslab.config.places import GIT_SERVER_PORT, INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.files.archive import Tree, beginning
from sopslab.files.events import named, note
from sopslab.files.render import Renderer
from sopslab.lab.act import accounts, learners_clone
from sopslab.lab.act import repositories as act_repositories
from sopslab.lab.act import seeds as act_seeds
from sopslab.lab.act import server as act_server
from sopslab.lab.observe.accounts import known_accounts
from sopslab.lab.observe.begun import begun_seats
from sopslab.lab.observe.certificates import tls_state
from sopslab.lab.observe.identities import identity_states
from sopslab.lab.observe.learners_clone import clone_of_learner
from sopslab.lab.observe.machine import machine_state
from sopslab.lab.observe.repositories import bare_repositories
from sopslab.lab.tools.git import Author
from sopslab.layout import CANARY_PATH
from sopslab.model.beginnings import Beginning
from sopslab.model.identities import IdentityState
from sopslab.model.learners_clone import Origin
from sopslab.policy.recipients import CONFIG as CREATION_RULES
from sopslab.provision.command import Commands, acting, refusal
from sopslab.provision.facts.docker import Container
from sopslab.provision.facts.git import (
    AccountDigest,
    RemoteHead,
)
from sopslab.provision.look import look, look_at_machine

CONFIG_LABEL = "sops-lab.config"


@operation()
def users(settings: Settings, users: Sequence[str]) -> Commands:
    """
    Give users of the embedded Git server a password of their own, made once.

    + settings: the lab's settings
    + users: their names
    """
    found = look(settings, known_accounts)
    missing = [user for user in users if user not in found.complete]
    moved = [user for user in found.moved if user in found.complete]
    if not missing and not moved:
        host.noop("every user has a password")
        return
    if moved:
        note(f"the Git server is at {settings.git_base_url} now")
        yield acting(settings, accounts.move, users=moved)
    if not missing:
        return
    note(f"passwords for {named(missing)}")
    yield acting(settings, accounts.renew, users=missing)


@operation()
def account(settings: Settings, user: str, username: str, password: str) -> Commands:
    """
    Store with what account `user` logs in to a Git server that is not ours.

    + settings: the lab's settings
    + user: who of the lab: `instructor`, `flux` or the learner
    + username: the account on that server
    + password: its password or token
    """
    given = hashlib.sha256(f"{username}\n{password}".encode()).hexdigest()
    if host.get_fact(AccountDigest, settings=settings, user=user) == given:
        host.noop(f"the account of {user} is stored")
        return
    yield acting(settings, accounts.store, user=user, username=username, password=password)


@operation()
def repositories(settings: Settings, repositories: Sequence[str]) -> Commands:
    """
    Have bare repositories among the embedded Git server's data.

    + settings: the lab's settings
    + repositories: their paths, without `.git`
    """
    present = look(settings, bare_repositories, repositories=list(repositories))
    missing = [repository for repository in repositories if repository not in present]
    if not missing:
        host.noop("every repository is there")
        return
    yield acting(settings, act_repositories.make, repositories=missing)


@operation()
def server(settings: Settings, image: str, configuration: Tree) -> Commands:
    """
    Have the embedded Git server running, on the lab's network and on one address of this machine.

    + settings: the lab's settings
    + image: the image of the server
    + configuration: what it is started with; a change of it starts it anew
    """
    machine = look_at_machine(machine_state, root=settings.root, commands=[])
    container = git_server_name(settings.lab)
    publish = f"{settings.git_bind}:{settings.git_port}:{GIT_SERVER_PORT}"
    files = {path: hashlib.sha256(file.content).hexdigest() for path, file in configuration.items()}
    # Another way to start it starts it anew, too.
    way = hashlib.sha256(Path(act_server.__file__).read_bytes()).hexdigest()
    wanted = [image, publish, files, machine.uid, settings.git_dir, way]
    if settings.networked:
        # It reads its certificate when it starts.
        wanted.append(look(settings, tls_state).certificate)
    mark = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    found = host.get_fact(Container, target=container)
    if found and network_name(settings.lab) not in found["NetworkSettings"]["Networks"]:
        yield refusal(
            f"there is a container {container} that this lab did not make; it is left alone:"
            " choose another name for the lab (SOPSLAB_LAB)"
        )
        return
    if found and found["State"]["Running"] and found["Config"]["Labels"].get(CONFIG_LABEL) == mark:
        host.noop(f"the Git server {container} runs")
        return
    if found and not found["State"]["Running"]:
        note("the Git server was stopped")
    yield acting(settings, act_server.serve, image=image, label=f"{CONFIG_LABEL}={mark}")


@operation()
def seed(
    settings: Settings, repository: str, template: str, variables: dict[str, object], canary: str
) -> Commands:
    """
    Fill a learner's repository once. What is there already, is the learner's and stays.

    + settings: the lab's settings
    + repository: its path on the Git server, without `.git`
    + template: the folder of templates on this side
    + variables: what the templates use, besides the recipients that this operation reads
    + canary: where in it the canary, an encrypted Secret of a random value, goes
    """
    if host.get_fact(RemoteHead, settings=settings, repository=repository) is not None:
        host.noop("the repository has content, and it is the learner's")
        return
    learner = settings.learner.id
    states = look(settings, identity_states, keys=[learner, INSTRUCTOR])
    beginning = _beginning(Renderer(Path(template)), learner, variables, states)
    yield acting(
        settings, act_seeds.seed, repository=repository, beginning=beginning, canary=canary
    )


@operation()
def seeds(settings: Settings, template: str, variables: Mapping[str, dict[str, Any]]) -> Commands:
    """
    Fill the repositories of the seats once, all of them together.

    + settings: the lab's settings
    + template: the folder of templates on this side
    + variables: each seat, and what the templates use for it besides the recipients
    """
    begun = look(settings, begun_seats, seats=list(variables))
    missing = [seat for seat in variables if seat not in begun]
    if not missing:
        host.noop("every seat's repository has content, and it is the learner's")
        return
    states = look(settings, identity_states, keys=[INSTRUCTOR, *missing])
    ready = [seat for seat in missing if states and states[seat].recipient is not None]
    renderer = Renderer(Path(template))
    yield acting(
        settings,
        act_seeds.seed_seats,
        beginnings=[_beginning(renderer, seat, variables[seat], states) for seat in ready],
        canary=CANARY_PATH,
    )


def _beginning(
    renderer: Renderer,
    learner: str,
    variables: Mapping[str, Any],
    states: Mapping[str, IdentityState],
) -> Beginning:
    recipients = {
        "learner": states.get(learner, IdentityState()).recipient,
        "instructor": states.get(INSTRUCTOR, IdentityState()).recipient,
    }
    files = renderer.render({**variables, "recipients": recipients, "causes": for_shell()})
    who = variables["learner"]
    return Beginning(
        learner,
        variables["namespace"],
        beginning(files, act_seeds.NEW, who["name"], who["email"], "Begin the lab").decode(),
        files[CREATION_RULES].content.decode(),
    )


@operation()
def clone(settings: Settings, repository: str, hook: str) -> Commands:
    """
    Have a clone for the learner, with the commit hook installed.

    + settings: the lab's settings
    + repository: its path on the Git server, without `.git`
    + hook: the text of the pre-commit hook
    """
    found = look(settings, clone_of_learner)
    moved = found.origin is not None and _moved(settings, found.origin, repository)
    if not found.missing and not moved:
        host.noop(f"{settings.work_dir} is complete")
        return
    if moved:
        note(f"its origin is {settings.git_base_url}/{repository}.git now")
        yield acting(settings, learners_clone.move, repository=repository)
    if not found.missing:
        return
    note(f"missing: {', '.join(found.missing)}")
    yield acting(
        settings,
        learners_clone.complete,
        repository=repository,
        author=Author(settings.learner.name, settings.learner.email),
        hook=hook,
    )


def _moved(settings: Settings, origin: Origin, repository: str) -> bool:
    # An origin that is not an address of ours is one that the learner chose.
    ours = rf"https?://[0-9.]+:[0-9]+/{re.escape(repository)}\.git"
    if settings.git_url is not None or not re.fullmatch(ours, origin.url):
        return False
    wanted = Origin(f"{settings.git_base_url}/{repository}.git", settings.git_authority or "")
    return origin != wanted
