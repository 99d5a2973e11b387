"""Operations on Flux: its platform repository, its decryption key, and the proof that it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pyinfra import host
from pyinfra.api import StringCommand, operation

from sopslab.artifacts.catalog import Catalog
from sopslab.checks.ownership import shared_flux
from sopslab.config.environment import Environment
from sopslab.config.naming import node_name
from sopslab.config.settings import Settings
from sopslab.files.archive import Tree, digest, pack
from sopslab.files.events import named, note
from sopslab.lab.act import existing, host_secrets
from sopslab.lab.act.canaries import await_canaries
from sopslab.lab.act.platform import lay_out
from sopslab.lab.observe.api_server import api_servers
from sopslab.lab.observe.brought import brought, others_at_stake
from sopslab.lab.observe.canaries import canary_states
from sopslab.lab.observe.existing import is_taken_on
from sopslab.lab.observe.host_secrets import held_keys, secrets_drift
from sopslab.lab.observe.ownership import lab_id
from sopslab.lab.observe.records import content_mark
from sopslab.lab.observe.store import store_state
from sopslab.lab.observe.users import seat_users
from sopslab.lab.tools.flux import CONTROLLERS
from sopslab.layout import API_PORT, CNI_LABEL, ENFORCER
from sopslab.model.canaries import PROVEN
from sopslab.model.clusters import ApiServers
from sopslab.model.decryption import SecretDrift
from sopslab.model.trouble import Trouble
from sopslab.provision.command import Commands, acting, refusal
from sopslab.provision.look import look, recall


@operation()
def platform(
    settings: Settings,
    files: Callable[[ApiServers, str | None], Tree],
    recipe: str,
    tag: str | None,
    catalog: Catalog,
    overlays: Callable[[Mapping[str, str], str | None], Tree] | None = None,
) -> Commands:
    """
    Bring the platform repository, from which the cluster reconciles itself, up to date.

    + settings: the lab's settings
    + files: a function that returns the repository's files, without the components, which come from
        `flux install --export`; it is given the addresses of the API server and the lab's id, which
        is None if the lab has made the cluster
    + recipe: the digest of how the flux command is made, because another command prints other
        components
    + tag: the tag from which Flux reads the base of the seats, set if it is new; None without seats
    + catalog: what is pinned; a label of the kind node's image says whether its network enforces
        policies
    + overlays: a function that returns the repository's files for the seats; it is given the users
        of the seats and the lab's id; None without seats
    """
    api = _api_servers(settings)
    if api is None:
        yield refusal(
            "the cluster does not say at which port its API server listens: `kubectl get"
            " endpointslices --namespace default` has to list that of the Service `kubernetes`"
        )
        return
    identity = look(settings, lab_id) if settings.cluster_provider == "existing" else None
    laid_out = files(api, identity)
    if overlays is not None:
        # The operation looks at the users, and not the task: the same run may change a seat's user.
        laid_out = {**laid_out, **overlays(look(settings, seat_users), identity)}
    if ENFORCER in laid_out and not _needs_enforcer(settings, catalog):
        laid_out = {path: file for path, file in laid_out.items() if path != ENFORCER}
    mark = f"{digest(laid_out)}-{recipe}"
    if look(settings, content_mark) == mark:
        host.noop("the platform repository is up to date")
        return
    yield acting(
        settings,
        lay_out,
        files=pack(laid_out),
        mark=mark,
        components=list(CONTROLLERS),
        node=node_name(settings.lab) if settings.cluster_provider == "kind" else None,
        tag=tag,
    )


def _api_servers(settings: Settings) -> ApiServers | None:
    """Return the addresses of the API server, None if they cannot be seen. With kind, only the port
    matters: a node reaches its own pods whatever a network policy says."""
    if settings.cluster_provider == "kind":
        return ApiServers(ports=(API_PORT,))
    return look(settings, api_servers)


def _needs_enforcer(settings: Settings, catalog: Catalog) -> bool:
    if settings.cluster_provider != "kind":
        return False
    store = recall(settings, store_state, images=catalog.image_tags)
    return store.images.get(catalog.node_tag, {}).get(CNI_LABEL) == "static"


@operation()
def secrets(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Put into the cluster what Flux needs for environments and cannot get from Git: the key
    `sops-age`, with its successor if there is one; the login for the repository; and the token that
    Flux's receiver shares with the Git server's hook. While a key is replaced, Flux is never
    without one.

    + settings: the lab's settings
    + environments: the environments that need these Secrets
    """
    drift = look(settings, secrets_drift, environments=list(environments))
    if not drift:
        host.noop("Flux has every Secret that it needs")
        return
    if SecretDrift.LACKING in drift.values():
        yield lacking(settings)
        return
    # On a lab without a class, such a conflict was refused before anything was touched.
    conflicts = [
        one
        for one in environments
        if one.is_seat and drift.get(one.id) is SecretDrift.KEY and settings.key_from != "store"
    ]
    if conflicts:
        yield acting(settings, host_secrets.refuse_keys, environments=conflicts)
    given = [one for one in environments if one.id in drift and one not in conflicts]
    changed = [one for one in given if drift[one.id] is not SecretDrift.ABSENT]
    if changed:
        note(f"differed: {named([one.id for one in changed])}")
        held = look(settings, held_keys, environments=changed)
        for who, state in held.items():
            if state.problem is not None:
                note(f"{who}: sops-age was unusable: {state.problem}")
    if given:
        yield acting(settings, host_secrets.give, environments=given)


def lacking(settings: Settings) -> StringCommand:
    """Return the refusal to give Flux Secrets that this machine has not all parts of."""
    return refusal(
        f"the key, the login or the token of Flux is not in {settings.lab_dir}:"
        " `sopslab up` makes them, or says what is to be restored"
    )


@operation()
def canaries(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Prove that the whole path works for environments: wait until a value that was encrypted and
    pushed is in the cluster, decrypted. Hashes of the value are compared.

    + settings: the lab's settings
    + environments: the environments to prove it for
    """
    states = look(settings, canary_states, environments=list(environments))
    awaited = [one for one in environments if states.get(one.id) != PROVEN]
    if not awaited:
        host.noop("every canary is in the cluster, and it is the repository's")
        return
    yield acting(settings, await_canaries, environments=awaited)


@operation()
def sole_use(settings: Settings) -> Commands:
    """
    Refuse to take the lab out of a cluster as long as others there have objects of Flux's kinds,
    which would be deleted with the lab's Flux, or a Flux that works with these kinds.

    + settings: the lab's settings; with `purge`, a cluster that does not say this is refused, too
    """
    others = look(settings, others_at_stake)
    if others is None or isinstance(others, Trouble):
        if settings.purge:
            yield refusal(_stays(settings, others))
        else:
            host.noop("the cluster does not say what others have there")
        return
    if others:
        yield refusal(shared_flux(others))
        return
    host.noop("no other objects would go with this lab's Flux")


@operation()
def removal(settings: Settings) -> Commands:
    """
    Remove everything that the lab has brought, including Flux, from a cluster that the lab did not
    make.

    + settings: the lab's settings
    """
    found = look(settings, brought)
    if found is None or isinstance(found, Trouble):
        sentence = _stays(settings, found)
        if settings.purge:
            yield refusal(sentence)
            return
        note(sentence)
        if found is None:
            host.noop("the cluster does not answer")
        else:
            host.noop("the cluster does not say what it has of this lab")
        return
    # The cluster is taken off the record even if it has nothing of the lab. Otherwise, objects that
    # later get the lab's name there would count as the lab's.
    if not found and not look(settings, is_taken_on):
        host.noop("the cluster has nothing of this lab")
        return
    yield acting(settings, existing.leave)


def _stays(settings: Settings, trouble: Trouble | None) -> str:
    """Return in a sentence why what the lab has brought into a cluster stays there.

    + trouble: why the cluster does not say what that is; None if it does not answer
    """
    if trouble is not None:
        return (
            f"{trouble.value} (context {settings.context}), so what this lab has brought there"
            " stays: log in again or have the rights of `up`, then run again"
        )
    if settings.purge:
        return (
            f"the cluster of the context {settings.context} does not answer, and nothing would know"
            " what this lab has brought there: run again once it does, or remove"
            f" {settings.lab_kubeconfig} if it is gone for good"
        )
    return (
        f"the cluster of the context {settings.context} does not answer, and what this lab has"
        " brought stays there: run `sopslab down` again once it does"
    )
