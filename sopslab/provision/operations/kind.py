"""Operations on kind clusters."""

from __future__ import annotations

from pathlib import Path

from pyinfra import host
from pyinfra.api import StringCommand, operation

from sopslab.checks.causes import TELLING
from sopslab.config.naming import network_name, node_name
from sopslab.config.settings import Settings
from sopslab.files.events import named, note
from sopslab.files.render import render_tree
from sopslab.layout import POD_PIDS_LIMIT, SYSTEM_SHARE
from sopslab.provision.command import Commands, lab_script, refusal, script
from sopslab.provision.facts.docker import CNI_LABEL, ImageLabels
from sopslab.provision.facts.host import Machine
from sopslab.provision.facts.kind import STRANGERS, KindCluster, Limits, NodeLimits, Strangers

# Works below the folder $1. What it could not look at is an error, and not nothing.
_SHUT_OUT = (
    STRANGERS
    + """
shut_out() {
    strangers_bindings >"$1/bindings" &
    tokens=$(bootstrap_tokens) && wait $! || return 1
    jq --compact-output 'select(.subjects == [])' "$1/bindings" >"$1/strangers"
    jq --compact-output 'select(.subjects != [])' "$1/bindings" >"$1/others"
    for token in $tokens; do
        kube delete --namespace kube-system "$token" --ignore-not-found >/dev/null || return 1
    done
    [ ! -s "$1/strangers" ] \\
        || kube delete --filename "$1/strangers" --ignore-not-found >/dev/null || return 1
    [ ! -s "$1/others" ] || kube replace --filename "$1/others" >/dev/null
}
"""
)

# The kubeconfig and the node's id appear together and last: where they are, the cluster was made
# to its end, and strangers are shut out.
_CREATE = (
    _SHUT_OUT
    + TELLING
    + """
cluster=$1 image=$2 directory=$3
umask 077
exec 9>"$directory/.cluster.lock"
flock --wait 300 9
# What a killed run left behind.
rm -rf "$directory"/.kind.*
new=$(mktemp -d "$directory/.kind.XXXXXX")
trap 'rm -rf "$new"' EXIT
cat >"$new/config.yaml"
create() {
    docker ps --all --quiet --filter "label=io.x-k8s.kind.cluster=$cluster" \\
        | xargs -r docker rm -fv >/dev/null
    rm -f "$directory/kubeconfig" "$directory/node-id"
    if ! timeout 300 kind create cluster --name "$cluster" --image "$image" --quiet \\
            --config "$new/config.yaml" --kubeconfig "$new/kubeconfig" 2>"$new/errors"; then
        say "kind could not create the cluster $cluster: $(told "$new/errors")"
        return 1
    fi
    docker container inspect --format '{{.Id}}' "$cluster-control-plane" >"$new/node-id"
    if ! (export KUBECONFIG="$new/kubeconfig" && shut_out "$new"); then
        say "the new cluster $cluster could not be closed to strangers: run this again"
        return 1
    fi
    mv "$new/kubeconfig" "$new/node-id" "$directory/"
}
export KIND_EXPERIMENTAL_DOCKER_NETWORK="$4"
"""
)
_IN_FOREGROUND = _CREATE + "create\n"
# The lock passes on to what this shell leaves behind: whoever looks at the cluster waits.
_IN_BACKGROUND = (
    _CREATE
    + """
trap - EXIT
{ trap 'rm -rf "$new"' EXIT; trap '' HUP; create; } </dev/null >/dev/null 2>&1 &
"""
)

_DELETE = """
cluster=$1 directory=$2
exec 9>"$directory/.cluster.lock"
flock --wait 300 9
docker ps --all --quiet --filter "label=io.x-k8s.kind.cluster=$cluster" \\
    | xargs -r docker rm -fv >/dev/null
rm -rf "$directory"/kubeconfig "$directory"/node-id "$directory"/.kind.*
"""

# The API server's port is fixed for the life of the container, and its certificates are inside.
_KUBECONFIG = """
node=$1 cluster=$2
umask 077
docker unpause "$node" >/dev/null 2>&1 || docker start "$node" >/dev/null
new=$(mktemp "$KUBECONFIG.XXXXXX")
trap 'rm -f "$new"' EXIT
timeout 60 kind get kubeconfig --name "$cluster" >"$new"
mv "$new" "$KUBECONFIG"
"""

_START = """
node=$1
case $(docker container inspect --format '{{.State.Status}}' "$node") in
paused) docker unpause "$node" >/dev/null ;;
*) docker start "$node" >/dev/null ;;
esac
deadline=$(($(seconds) + 120))
until kubectl --context "$LAB_CONTEXT" get --raw /readyz --request-timeout 3s >/dev/null 2>&1; do
    if [ "$(seconds)" -ge "$deadline" ]; then
        say "the API server of $node did not answer within 120 s after the start;" \\
            "look at: docker logs $node;" \\
            'or make the cluster anew: "sopslab down", "sopslab up"; keys and Git data stay'
        exit 1
    fi
    sleep 0.3
done
"""

_CLOSE = (
    _SHUT_OUT
    + """
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
shut_out "$new"
"""
)

# Pods that run keep what they have; the kubelet sets the limit when it starts one.
_LIMIT_PIDS = """
timeout 60 docker exec "$1" sh -euc '
    grep -v "^podPidsLimit:" "$1" >"$1.new"
    echo "podPidsLimit: $2" >>"$1.new"
    mv "$1.new" "$1"
    systemctl restart kubelet
' sops-lab /var/lib/kubelet/config.yaml "$2"
"""

_SET_SHARE = (
    'timeout 60 docker exec "$1" systemctl set-property system.slice "CPUQuota=$(($2 * $(nproc)))%"'
    " >/dev/null"
)


@operation()
def begun(settings: Settings, image: str, template: str) -> Commands:
    """
    Have the creation of a lab's cluster begun, in the background: what does not need the cluster is
    done meanwhile, and `cluster` waits for the end. A cluster that somebody else made is refused,
    untouched.

    + settings: the lab's settings
    + image: the node image
    + template: the folder with the template of the kind configuration
    """
    state = host.get_fact(KindCluster, settings=settings)
    if state.owner == "foreign":
        yield _refusal(settings)
        return
    if state.complete and state.address not in {"", settings.api_address}:
        yield refusal(
            f"the API server of the cluster {settings.lab} is published at {state.address}, and"
            f" learners would connect to {settings.api_address}: `sopslab down` removes the cluster"
            " and keeps all keys and Git data, then `sopslab up` makes it anew"
        )
        return
    if state.complete:
        host.noop(f"the kind cluster {settings.lab} is there")
        return
    if state.owner == "lab":
        note("the cluster was half-made and is made anew")
    yield _create(settings, image, template, _IN_BACKGROUND)


@operation()
def cluster(settings: Settings, image: str, template: str) -> Commands:
    """
    Have the kind cluster of a lab. One that a killed run left half-made is made anew.

    + settings: the lab's settings
    + image: the node image
    + template: the folder with the template of the kind configuration
    """
    # The fact waits for a creation that has begun.
    state = host.get_fact(KindCluster, settings=settings)
    if state.owner == "foreign":
        yield _refusal(settings)
        return
    if state.complete:
        host.noop(f"the kind cluster {settings.lab} is there")
        return
    note("the first attempt failed")
    yield _create(settings, image, template, _IN_FOREGROUND)


def _refusal(settings: Settings) -> StringCommand:
    return refusal(
        f"there is a kind cluster {settings.lab} that this lab did not make; it is left alone:"
        " choose another name for the lab (SOPSLAB_LAB)"
    )


def _create(settings: Settings, image: str, template: str, text: str) -> StringCommand:
    machine = host.get_fact(Machine, root=settings.root, commands=[])
    variables = {
        "api_address": settings.api_address,
        "api_port": settings.api_port,
        "cgroup": machine.cgroup,
        "cni": host.get_fact(ImageLabels, target=image).get(CNI_LABEL),
        "node_dir": settings.node_dir,
        "pod_pids_limit": POD_PIDS_LIMIT,
        "restricted": machine.restricted,
    }
    config = render_tree(Path(template), variables)["config.yaml"].content.decode()
    network = network_name(settings.lab)
    return lab_script(settings, text, settings.lab, image, settings.lab_dir, network, stdin=config)


@operation()
def deleted(settings: Settings) -> Commands:
    """
    Have no kind cluster of this lab. One that somebody else made stays.

    + settings: the lab's settings
    """
    state = host.get_fact(KindCluster, settings=settings)
    if state.owner == "foreign" or (state.owner == "nobody" and not state.stray):
        host.noop(f"there is no kind cluster {settings.lab} of this lab")
        return
    yield lab_script(settings, _DELETE, settings.lab, settings.lab_dir)


@operation()
def node(settings: Settings) -> Commands:
    """
    Have the node container of a lab's cluster running, if the cluster was made to its end, and the
    lab's kubeconfig lead to it.

    + settings: the lab's settings
    """
    state = host.get_fact(KindCluster, settings=settings)
    if not state.complete or (state.status == "running" and not state.stray):
        host.noop("there is no node that was stopped")
        return
    if state.stray:
        note(f"the kubeconfig {state.stray}")
        yield lab_script(settings, _KUBECONFIG, node_name(settings.lab), settings.lab)
    if state.status != "running":
        note(f"the node container was {state.status}")
        yield lab_script(settings, _START, node_name(settings.lab))


@operation()
def strangers(settings: Settings) -> Commands:
    """
    Have nothing in a lab's cluster that lets in somebody without credentials of it: no bootstrap
    token, and no right of those who have one or are anonymous. A cluster is made that way; one that
    an older version made is brought there.

    + settings: the lab's settings
    """
    found = host.get_fact(Strangers, settings=settings)
    if not found:
        host.noop("strangers are shut out of the cluster")
        return
    note(f"taken out: {named(found)}")
    if any(item.startswith("Secret ") for item in found):
        note(
            "a bootstrap token was valid: if others could reach the API server, make the cluster"
            " anew with `sopslab down` and `sopslab up`, as they may hold a certificate of the node"
        )
    yield lab_script(settings, _CLOSE)


@operation()
def limits(settings: Settings) -> Commands:
    """
    Have the node of a lab limit the processes of each pod that it starts, and the processors that
    starting and ending pods takes from the API server and Flux.

    + settings: the lab's settings
    """
    found = host.get_fact(NodeLimits, settings=settings)
    if found in (None, Limits(pids=POD_PIDS_LIMIT, share=SYSTEM_SHARE)):
        host.noop("what pods take from the node is limited")
        return
    state = host.get_fact(KindCluster, settings=settings)
    if state.owner != "lab" or not state.complete:
        host.noop("the node is not this lab's, or not made to its end")
        return
    if found.pids != POD_PIDS_LIMIT:
        note(f"a pod might have {found.pids or 'any number of'} processes")
        yield script(_LIMIT_PIDS, node_name(settings.lab), str(POD_PIDS_LIMIT))
    if found.share != SYSTEM_SHARE:
        note(f"starting pods might take {found.share or 100} % of all processors")
        yield script(_SET_SHARE, node_name(settings.lab), str(SYSTEM_SHARE))
