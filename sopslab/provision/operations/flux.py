"""Operations on Flux: its platform repository, its decryption key, and the proof that it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.environment import Environment
from sopslab.config.naming import next_key, node_name
from sopslab.config.places import FLUX
from sopslab.config.settings import Settings
from sopslab.files.archive import Tree, digest, pack
from sopslab.files.events import note
from sopslab.lab.act import existing
from sopslab.lab.act.canaries import await_alone
from sopslab.lab.act.platform import lay_out
from sopslab.lab.observe.canaries import canary_states
from sopslab.lab.observe.existing import has_flux
from sopslab.lab.observe.host_secrets import held_key
from sopslab.lab.observe.identities import identity_states
from sopslab.lab.observe.users import seat_generations
from sopslab.layout import ENFORCER, KEY_ENTRY, NAMESPACE, NEXT_KEY_ENTRY, WATCHED
from sopslab.model.canaries import PROVEN
from sopslab.model.identities import IdentityState
from sopslab.provision.command import Commands, acting, refusal
from sopslab.provision.facts.docker import CNI_LABEL, ImageLabels
from sopslab.provision.facts.git import CommitNote
from sopslab.provision.facts.tree import TreeDigest
from sopslab.provision.look import look
from sopslab.provision.operations.kubernetes import secret

COMPONENTS = ("source-controller", "kustomize-controller", "notification-controller")


@operation()
def platform(
    settings: Settings,
    files: Tree,
    recipe: str,
    tag: str | None,
    node_image: str,
    overlays: Callable[[Mapping[str, str]], Tree] | None = None,
) -> Commands:
    """
    Have the platform repository, from which the cluster reconciles itself, as it should be.

    + settings: the lab's settings
    + files: what it holds beside the components that `flux install --export` prints
    + recipe: what the flux command is made by: another one prints other components
    + tag: the tag by which the base of the seats is read, set where it is new; None without seats
    + node_image: the image of the kind node, which knows whether its network enforces policies
    + overlays: what it holds for the seats, given their generations; None without seats
    """
    if overlays is not None:
        # Looked at here and not by the task: the same run may give a seat another generation.
        generations = look(settings, seat_generations)
        files = {**files, **overlays(generations)}
    if ENFORCER in files and not _needs_enforcer(settings, node_image):
        files = {path: file for path, file in files.items() if path != ENFORCER}
    mark = f"{digest(files)}-{recipe}"
    if (
        host.get_fact(CommitNote, path=settings.platform_dir) == mark
        and host.get_fact(TreeDigest, path=settings.manifests_dir) is not None
    ):
        host.noop("the platform repository is up to date")
        return
    yield acting(
        settings,
        lay_out,
        files=pack(files),
        mark=mark,
        components=list(COMPONENTS),
        node=node_name(settings.lab) if settings.cluster_provider == "kind" else None,
        tag=tag,
    )


def _needs_enforcer(settings: Settings, node_image: str) -> bool:
    if settings.cluster_provider != "kind":
        return False
    return host.get_fact(ImageLabels, target=node_image).get(CNI_LABEL) == "static"


def login_entries(settings: Settings) -> dict[str, str]:
    """Return the entries of the Secret with which Flux reads Git, and the files that hold them."""
    entries = {name: f"{settings.account_dir(FLUX)}/{name}" for name in ("username", "password")}
    return entries | ({"ca.crt": settings.git_authority} if settings.git_authority else {})


@operation()
def receiver_token(settings: Settings) -> Commands:
    """
    Have the Git server's hook and Flux's receiver share a token, made once.

    + settings: the lab's settings
    """
    path = f"{settings.git_dir}/receiver/token"
    yield from secret._inner(
        settings=settings,
        namespace="flux-system",
        secret="receiver-token",
        entries={"token": path},
        labels={},
    )


@operation()
def decryption_key(settings: Settings, key: str) -> Commands:
    """
    Have `sops-age` in flux-system hold the learner's identity, without a moment without it, and
    beside it the one that will follow, where there is one.

    + settings: the lab's settings
    + key: the identity's name in the store
    """
    states = look(settings, identity_states, keys=[key, next_key(key)])
    store = states.get(key, IdentityState()).recipient
    following = states.get(next_key(key), IdentityState()).recipient
    if store is None:
        yield refusal(f"the identity {settings.keys_dir}/{key}.agekey is not there")
        return
    cluster = look(settings, held_key)
    if (cluster.recipient, cluster.next) == (store, following) and cluster.watched:
        host.noop("sops-age holds the learner's key")
        return
    if cluster.problem is not None:
        note(f"sops-age was unusable: {cluster.problem}")
    held = {KEY_ENTRY: key} | ({NEXT_KEY_ENTRY: next_key(key)} if following else {})
    yield from secret._inner(
        settings=settings,
        namespace="flux-system",
        secret="sops-age",
        entries={entry: f"{settings.keys_dir}/{name}.agekey" for entry, name in held.items()},
        labels=WATCHED,
    )


@operation()
def canary(settings: Settings, environment: Environment) -> Commands:
    """
    Prove the whole path: what was encrypted and pushed is in the cluster, decrypted, by its hash.

    + settings: the lab's settings
    + environment: that of a lab without a class
    """
    states = look(settings, canary_states, environments=[environment])
    if states.get(environment.id) == PROVEN:
        host.noop("the canary is in the cluster, and it is the repository's")
        return
    yield acting(settings, await_alone, environment=environment)


@operation()
def uninstalled(settings: Settings) -> Commands:
    """
    Have Flux and the environments out of a cluster that the lab did not make.

    What Flux applied goes first, while its controllers still answer for the finalizers.

    + settings: the lab's settings
    """
    if not look(settings, has_flux):
        host.noop("the cluster has no Flux of this lab")
        return
    yield acting(settings, existing.leave, namespace=NAMESPACE)
