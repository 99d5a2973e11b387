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
from sopslab.config.environment import Environment
from sopslab.config.naming import git_namespace, git_server_name, network_name
from sopslab.config.places import GIT_SERVER_PORT, INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.files.archive import Tree, beginning
from sopslab.files.events import named, note
from sopslab.files.render import Renderer
from sopslab.lab.act import accounts as act_accounts
from sopslab.lab.act import copies as act_copies
from sopslab.lab.act import git_pod as act_git_pod
from sopslab.lab.act import learners_clone
from sopslab.lab.act import seeds as act_seeds
from sopslab.lab.act import server as act_server
from sopslab.lab.observe.accounts import account_digest, known_accounts, stored_accounts
from sopslab.lab.observe.begun import begun_environments
from sopslab.lab.observe.copies import bare_repositories
from sopslab.lab.observe.docker import container
from sopslab.lab.observe.git_pod import git_server_in, pod_state, server_trouble
from sopslab.lab.observe.identities import identity_states
from sopslab.lab.observe.learners_clone import clone_of_learner
from sopslab.lab.observe.machine import machine_state
from sopslab.lab.observe.registry import recorded_image
from sopslab.lab.tools.git import Author
from sopslab.model.git_pod import CLAIM, PodShape
from sopslab.model.repositories import Beginning, Origin
from sopslab.policy.recipients import CONFIG as CREATION_RULES
from sopslab.provision.command import Commands, acting, refusal
from sopslab.provision.look import forget, look, look_at_machine

CONFIG_LABEL = "sops-lab.config"


@operation()
def users(settings: Settings, users: Sequence[str]) -> Commands:
    """
    Give each user of the embedded Git server a password, which is made once.

    + settings: the lab's settings
    + users: the names of the users
    """
    found = look(settings, known_accounts)
    missing = [user for user in users if user not in found.complete]
    moved = [user for user in found.moved if user in found.complete]
    if not missing and not moved:
        host.noop("every user has a password")
        return
    if moved:
        note(f"the Git server is at {settings.git_base_url} now")
        yield acting(settings, act_accounts.move, users=moved)
    if not missing:
        return
    note(f"passwords for {named(missing)}")
    yield acting(settings, act_accounts.renew, users=missing)


@operation()
def locks(settings: Settings, users: Sequence[str]) -> Commands:
    """
    Have the lab's own Git server refuse some users, and accept all others that have a password. A
    server in the cluster knows of it once its pod has been replaced.

    + settings: the lab's settings
    + users: the names of the users whose access has ended
    """
    found = look(settings, known_accounts)
    # Users whose password is not known here are refused as well: the server would accept it.
    locked, wanted = {*found.locked}, {*users} & {*found.listed}
    if locked == wanted:
        host.noop(f"refused: {named(sorted(locked))}" if locked else "no user is refused")
        return
    for what, whose in (("refused now", wanted - locked), ("let in again", locked - wanted)):
        if whose:
            note(f"{what}: {named(sorted(whose))}")
    yield acting(settings, act_accounts.lock, users=sorted(wanted))


@operation()
def accounts(settings: Settings, users: Sequence[str], username: str, password: str) -> Commands:
    """
    Store the account for a Git server that is not the lab's own.

    + settings: the lab's settings
    + users: the lab's users, who share the account: `instructor`, `flux` and the learner
    + username: the name of the account on that server
    + password: the password or token of the account
    """
    stored = look(settings, stored_accounts, users=list(users))
    given = account_digest(username, password)
    missing = [user for user in users if stored.get(user) != given]
    if not missing:
        host.noop("the account of every user is stored")
        return
    yield acting(settings, act_accounts.store, users=missing, username=username, password=password)


@operation()
def repositories(settings: Settings, repositories: Sequence[str]) -> Commands:
    """
    Make bare repositories for the lab's own Git server.

    + settings: the lab's settings
    + repositories: the paths of the repositories, without `.git`
    """
    present = look(settings, bare_repositories, repositories=list(repositories))
    missing = [repository for repository in repositories if repository not in present]
    if not missing:
        host.noop("every repository is there")
        return
    yield acting(settings, act_copies.make, repositories=missing)


@operation()
def server(settings: Settings, image: str, configuration: Tree) -> Commands:
    """
    Run the embedded Git server, on the lab's network and on one address of this machine.

    + settings: the lab's settings
    + image: the image of the server
    + configuration: the files of its configuration; a change restarts the server
    """
    machine = look_at_machine(machine_state, root=settings.root, commands=[])
    name = git_server_name(settings.lab)
    publish = f"{settings.git_published}:{settings.git_port}:{GIT_SERVER_PORT}"
    files = {path: hashlib.sha256(file.content).hexdigest() for path, file in configuration.items()}
    # A change of the code that starts the server restarts it, too.
    way = hashlib.sha256(Path(act_server.__file__).read_bytes()).hexdigest()
    wanted = [image, publish, files, machine.uid, settings.git_dir, way]
    if settings.networked:
        # Imported here: it brings cryptography, and a lab on loopback has no CA.
        from sopslab.lab.observe.certificates import tls_state

        # The server reads its certificate only when it starts.
        wanted.append(look(settings, tls_state).certificate)
    mark = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    found = look_at_machine(container, name=name)
    if found is not None and network_name(settings.lab) not in found.networks:
        yield refusal(
            f"there is a container {name} that this lab did not make; it is left alone:"
            " choose another name for the lab (SOPSLAB_LAB)"
        )
        return
    if found is not None and found.running and found.labels.get(CONFIG_LABEL) == mark:
        host.noop(f"the Git server {name} runs")
        return
    if found is not None and not found.running:
        note("the Git server was stopped")
    yield acting(settings, act_server.serve, image=image, label=f"{CONFIG_LABEL}={mark}")


@operation()
def pod_manifests(settings: Settings, made_of: str) -> Commands:
    """
    Write the manifests of the Git server in the cluster. This is refused if its image was not
    pushed, if its namespace is not this lab's, or if its volume was made with another storage class
    or size.

    + settings: the lab's settings, with `git_in_cluster`
    + made_of: the digest by which the server's image in the registry is recognised
    """
    # The record decides, and not the registry: it need not answer here, because the cluster may
    # have the image already.
    image = look(settings, recorded_image, registry=settings.registry or "", made_of=made_of)
    if image is None:
        yield refusal(
            f"the Git server of this version was not pushed to {settings.registry}: run `sopslab"
            " images push`"
        )
        return
    shape = _shape(settings, image)
    state = look(settings, pod_state, shape=shape)
    if state.foreign:
        yield refusal(
            f"the namespace {git_namespace(settings.lab)} is not this lab's: delete it, or choose"
            " another name for the lab (SOPSLAB_LAB)"
        )
        return
    if state.other_claim:
        yield refusal(
            f"the Git server's volume is one of {state.other_claim}, which the cluster does not"
            " change: put `storage_class` and `size` of `git_in_cluster` back. A class of volumes"
            f" that grow has the claim {CLAIM} edited in {git_namespace(settings.lab)}"
        )
        return
    if state.laid_out:
        host.noop("the manifests are written")
        return
    yield acting(settings, act_git_pod.lay_out, shape=shape)


@operation()
def pod(settings: Settings) -> Commands:
    """
    Wait until the Git server in the cluster answers at the address that the lab file names.

    + settings: the lab's settings, with `git_in_cluster`
    """
    trouble = look(settings, server_trouble)
    if trouble is None:
        host.noop(f"the Git server answers at {settings.git_base_url}")
        return
    yield acting(settings, act_git_pod.await_server)


@operation()
def pod_removal(settings: Settings) -> Commands:
    """
    Remove the Git server from a cluster, also after `git_in_cluster` was taken out of the lab file.
    Its repositories stay there unless `purge` is set.

    + settings: the lab's settings; `purge` also removes the repositories
    """
    kubeconfig = settings.kubeconfig or ""
    left = look(settings, git_server_in, kubeconfig=kubeconfig)
    namespace = git_namespace(settings.lab)
    if left is None and settings.purge:
        yield refusal(
            f"the cluster of the context {settings.context} does not answer, and nothing would know"
            f" its namespace {namespace} any more: run again once it does, or"
            f" {_forgetting(settings)} if the cluster is gone for good"
        )
        return
    if left is None:
        note(
            f"the cluster of the context {settings.context} does not answer, and the namespace"
            f" {namespace} stays there: run `sopslab down` again once it does"
        )
        host.noop("the cluster does not answer")
        return
    if not (left.namespace if settings.purge else left.server):
        host.noop("the cluster has no Git server of this lab")
        return
    if not settings.purge:
        note(f"the repositories stay in the namespace {namespace}: `--purge` removes them")
    yield acting(settings, act_git_pod.take_away, kubeconfig=kubeconfig, purge=settings.purge)


def _forgetting(settings: Settings) -> str:
    """Return in words what makes the lab forget that it has a Git server in a cluster."""
    gone = f"remove {settings.git_manifests}"
    if settings.git_in_cluster is None:
        return gone
    return f"take `git_in_cluster` out of the lab file and {gone}"


def _shape(settings: Settings, image: str) -> PodShape:
    given = settings.git_in_cluster
    assert given is not None
    return PodShape(image, given.service, given.port, given.storage_class, given.size)


@operation()
def seeds(
    settings: Settings,
    environments: Sequence[Environment],
    template: str,
    variables: Mapping[str, Mapping[str, Any]],
) -> Commands:
    """
    Fill the repositories of environments once, all together. Each gets a canary: an encrypted
    Secret with a random value. A repository that has content belongs to the learner, and stays as
    it is.

    + settings: the lab's settings
    + environments: the environments whose repositories are filled
    + template: the folder of templates on this machine
    + variables: for each learner's id, the variables of the templates, without the recipients,
        which this operation looks up
    """
    begun = look(settings, begun_environments, environments=list(environments))
    missing = [one for one in environments if one.id not in begun]
    if not missing:
        host.noop("every repository has content, and it is the learner's")
        return
    states = look(
        settings, identity_states, keys=[INSTRUCTOR, *dict.fromkeys(one.key for one in missing)]
    )
    recipients = {key: state.recipient for key, state in states.items()}
    # A seat without an identity has already failed, and the reason is recorded.
    ready = [one for one in missing if not one.is_seat or recipients.get(one.key)]
    renderer = Renderer(Path(template))
    forget(begun_environments)
    yield acting(
        settings,
        act_seeds.seed,
        environments=ready,
        beginnings={
            one.id: _beginning(renderer, one, variables[one.id], recipients) for one in ready
        },
    )


def _beginning(
    renderer: Renderer,
    environment: Environment,
    variables: Mapping[str, Any],
    recipients: Mapping[str, str | None],
) -> Beginning:
    given = {"learner": recipients.get(environment.key), "instructor": recipients.get(INSTRUCTOR)}
    files = renderer.render({**variables, "recipients": given, "causes": for_shell()})
    first = beginning(files, act_seeds.NEW, environment.name, environment.email, "Begin the lab")
    return Beginning(first.decode(), files[CREATION_RULES].content.decode())


@operation()
def clone(settings: Settings, repository: str, hook: str) -> Commands:
    """
    Make a clone for the learner, with the commit hook installed.

    + settings: the lab's settings
    + repository: the path of the repository on the Git server, without `.git`
    + hook: the text of the pre-commit hook
    """
    found = look(settings, clone_of_learner)
    moved = found.origin is not None and _moved(settings, found.origin, repository)
    # A hook names programs of the version that installed it, and these may be gone.
    older = found.hook not in {"", hook}
    if not found.missing and not moved and not older:
        host.noop(f"{settings.work_dir} is complete")
        return
    if moved:
        note(f"its origin is {settings.git_base_url}/{repository}.git now")
        yield acting(settings, learners_clone.move, repository=repository)
    if not found.missing and not older:
        return
    if found.missing:
        note(f"missing: {', '.join(found.missing)}")
    if older:
        note("the commit hook was another version's")
    yield acting(
        settings,
        learners_clone.complete,
        repository=repository,
        author=Author(settings.learner.name, settings.learner.email),
        hook=hook,
    )


def _moved(settings: Settings, origin: Origin, repository: str) -> bool:
    # An origin that is no address of the lab's Git server was chosen by the learner, and stays. A
    # server in a cluster may have a name instead of an address; its certificate is from the lab's
    # own CA.
    host = "[a-z0-9.-]+" if origin.ca.endswith(f"/labs/{settings.lab}/tls/ca.crt") else "[0-9.]+"
    ours = rf"https?://{host}:[0-9]+/{re.escape(repository)}\.git"
    if settings.git_url is not None or not re.fullmatch(ours, origin.url):
        return False
    wanted = Origin(f"{settings.git_base_url}/{repository}.git", settings.git_ca or "")
    return origin != wanted
