"""Operations on kind clusters."""

from __future__ import annotations

from pathlib import Path

from pyinfra import host
from pyinfra.api import StringCommand, operation

from sopslab.checks.recreation import RECREATE, cluster_plan
from sopslab.config.naming import node_name
from sopslab.config.settings import Settings
from sopslab.files.events import named, note
from sopslab.files.render import render_tree
from sopslab.lab.act import kind as act
from sopslab.lab.observe.docker import image_labels
from sopslab.lab.observe.kind import cluster_state, node_limits, stranger_bindings
from sopslab.lab.observe.machine import machine_state
from sopslab.layout import CNI_LABEL, POD_PIDS_LIMIT
from sopslab.model.kind import Limits, Owner
from sopslab.provision.command import Commands, acting, refusal, script
from sopslab.provision.look import forget, look, look_at_machine, recall

# The kubelet sets the limit when it starts a pod, so pods that already run keep their limit.
_LIMIT_PIDS = """
timeout 60 docker exec "$1" sh -euc '
    grep -v "^podPidsLimit:" "$1" >"$1.new"
    echo "podPidsLimit: $2" >>"$1.new"
    mv "$1.new" "$1"
    systemctl restart kubelet
' sops-lab /var/lib/kubelet/config.yaml "$2"
"""

_SET_SHARE = (
    'timeout 60 docker exec "$1" systemctl set-property system.slice "CPUQuota=$2%" >/dev/null'
)


@operation()
def head_start(settings: Settings, image: str, template: str) -> Commands:
    """
    Begin to create a lab's cluster in the background. The run goes on with what does not need the
    cluster, and `cluster` waits for the end.

    A cluster of the same name that the lab did not make is refused, and not touched. The lab's own
    cluster is replaced only if the settings say so. Otherwise, a cluster of another version stays,
    and a cluster to which learners could not connect is refused.

    + settings: the lab's settings
    + image: the node image
    + template: the folder with the template of the kind configuration
    """
    state = recall(settings, cluster_state)
    if state.owner == Owner.FOREIGN:
        yield _refusal(settings)
        return
    replaced = state.complete and settings.recreate
    if state.complete and not replaced and state.address not in {"", settings.api_address}:
        yield refusal(
            f"the API server of the cluster {settings.lab} is published at {state.address}, and"
            f" learners would connect to {settings.api_address}: {RECREATE}"
        )
        return
    for sentence in cluster_plan(state, image, recreate=settings.recreate):
        note(sentence)
    if state.complete and not replaced:
        host.noop(f"the kind cluster {settings.lab} is there")
        return
    forget(cluster_state)
    if replaced:
        # Not in the background: later operations would still find the node of the old cluster.
        yield acting(settings, act.delete)
    elif state.owner == Owner.LAB:
        note("the cluster was half-made and is made anew")
    yield acting(settings, act.begin, image=image, config=_config(settings, image, template))


@operation()
def cluster(settings: Settings, image: str, template: str) -> Commands:
    """
    Make the kind cluster of a lab. A cluster that a killed run left incomplete is made anew.

    + settings: the lab's settings
    + image: the node image
    + template: the folder with the template of the kind configuration
    """
    # The look waits until a creation that has begun is over.
    state = recall(settings, cluster_state)
    if state.owner == Owner.FOREIGN:
        yield _refusal(settings)
        return
    if state.complete:
        host.noop(f"the kind cluster {settings.lab} is there")
        return
    note("the first attempt failed")
    yield acting(settings, act.create, image=image, config=_config(settings, image, template))


def _refusal(settings: Settings) -> StringCommand:
    return refusal(
        f"there is a kind cluster {settings.lab} that this lab did not make; it is left alone:"
        " choose another name for the lab (SOPSLAB_LAB)"
    )


def _config(settings: Settings, image: str, template: str) -> str:
    """Return the configuration that kind reads."""
    machine = look_at_machine(machine_state, root=settings.root, commands=[])
    variables = {
        "api_address": settings.api_address,
        "api_names": settings.api_names,
        "api_port": settings.api_port,
        "cgroup": machine.cgroup,
        "cni": look_at_machine(image_labels, image=image).get(CNI_LABEL),
        "node_dir": settings.node_dir,
        "pod_pids_limit": POD_PIDS_LIMIT,
    }
    return render_tree(Path(template), variables)["config.yaml"].content.decode()


@operation()
def removal(settings: Settings) -> Commands:
    """
    Delete the kind cluster of this lab. A cluster that the lab did not make stays.

    + settings: the lab's settings
    """
    state = look(settings, cluster_state)
    if state.owner == Owner.FOREIGN or (state.owner == Owner.NOBODY and not state.stray):
        host.noop(f"there is no kind cluster {settings.lab} of this lab")
        return
    yield acting(settings, act.delete)


@operation()
def node(settings: Settings) -> Commands:
    """
    If a lab's cluster is complete, start its node container, and correct the address in the lab's
    kubeconfig.

    + settings: the lab's settings
    """
    state = look(settings, cluster_state)
    if not state.complete or (state.status == "running" and not state.stray):
        host.noop("there is no node that was stopped")
        return
    forget(cluster_state)
    if state.stray:
        note(f"the kubeconfig {state.stray}")
        yield acting(settings, act.lead_to_node)
    if state.status != "running":
        note(f"the node container was {state.status}")
        yield acting(settings, act.start)


@operation()
def strangers(settings: Settings) -> Commands:
    """
    Remove from a lab's cluster everything that lets in strangers: bootstrap tokens, the rights of
    users with such a token, and the rights of anonymous users. A new cluster has none of these, but
    a cluster of an older version may.

    + settings: the lab's settings
    """
    found = look(settings, stranger_bindings)
    if not found:
        host.noop("strangers are shut out of the cluster")
        return
    note(f"taken out: {named(found)}")
    if any(item.startswith("Secret ") for item in found):
        note(
            "a bootstrap token was valid: if others could reach the API server, they may hold a"
            f" certificate of the node; {RECREATE}"
        )
    yield acting(settings, act.close)


@operation()
def limits(settings: Settings, share: int | None) -> Commands:
    """
    Have a lab's node limit the number of processes in each pod, and the processor time that
    starting and ending pods may take from the API server and Flux.

    + settings: the lab's settings
    + share: of all processors, in percent; None leaves that time as it is
    """
    found = look(settings, node_limits)
    if found is None or found == (
        wanted := Limits(POD_PIDS_LIMIT, found.share if share is None else share)
    ):
        host.noop("what pods take from the node is limited")
        return
    state = recall(settings, cluster_state)
    if state.owner != Owner.LAB or not state.complete:
        host.noop("the node is not this lab's, or not complete")
        return
    if found.pids != wanted.pids:
        note(f"a pod might have {found.pids or 'any number of'} processes")
        yield script(_LIMIT_PIDS, node_name(settings.lab), str(wanted.pids))
    if found.share != wanted.share:
        note(f"starting pods might take {found.share or 100} % of all processors")
        # Not by `nproc`, whose answer OMP_NUM_THREADS changes.
        machine = look_at_machine(machine_state, root=settings.root, commands=[])
        yield script(_SET_SHARE, node_name(settings.lab), str(wanted.share * machine.cpus))
