"""Operations on kind clusters."""

from __future__ import annotations

from pathlib import Path

from pyinfra import host
from pyinfra.api import operation

from sopslab.command import Commands, lab_script, refusal
from sopslab.facts.docker import ImageLabels
from sopslab.facts.host import Machine
from sopslab.facts.kind import KindCluster
from sopslab.journal import note
from sopslab.naming import network_name, node_name
from sopslab.render import render_tree
from sopslab.settings import Settings

# What the node image says of its network: `static` or `kindnet`.
CNI_LABEL = "sops-lab.cni"

# The kubeconfig and the node's id appear together and last: where they are, `kind create` finished.
_CREATE = """
cluster=$1 image=$2 directory=$3
umask 077
exec 9>"$directory/.cluster.lock"
flock --wait 300 9
new=$(mktemp -d "$directory/.kind.XXXXXX")
trap 'rm -rf "$new"' EXIT
cat >"$new/config.yaml"
docker ps --all --quiet --filter "label=io.x-k8s.kind.cluster=$cluster" \\
    | xargs -r docker rm -fv >/dev/null
rm -f "$directory/kubeconfig" "$directory/node-id"
export KIND_EXPERIMENTAL_DOCKER_NETWORK="$4"
if ! timeout 300 kind create cluster --name "$cluster" --image "$image" --quiet \\
        --config "$new/config.yaml" --kubeconfig "$new/kubeconfig" 2>"$new/errors"; then
    tail -n 15 "$new/errors" >&2
    echo "kind could not create the cluster $cluster; its own words are above" >&2
    exit 1
fi
docker container inspect --format '{{.Id}}' "$cluster-control-plane" >"$new/node-id"
mv "$new/kubeconfig" "$new/node-id" "$directory/"
"""

_DELETE = """
cluster=$1 directory=$2
exec 9>"$directory/.cluster.lock"
flock --wait 300 9
docker ps --all --quiet --filter "label=io.x-k8s.kind.cluster=$cluster" \\
    | xargs -r docker rm -fv >/dev/null
rm -rf "$directory"/kubeconfig "$directory"/node-id "$directory"/.kind.*
"""

_START = """
node=$1
case $(docker container inspect --format '{{.State.Status}}' "$node") in
paused) docker unpause "$node" >/dev/null ;;
*) docker start "$node" >/dev/null ;;
esac
deadline=$(($(date +%s) + 120))
until kubectl --context "$LAB_CONTEXT" get --raw /readyz --request-timeout 3s >/dev/null 2>&1; do
    if [ "$(date +%s)" -ge "$deadline" ]; then
        echo "the API server of $node did not answer within 120 s after the start;" \\
            "look at: docker logs $node" >&2
        exit 1
    fi
    sleep 0.3
done
"""


@operation()
def cluster(
    settings: Settings, image: str = "", template: str = "", present: bool = True
) -> Commands:
    """
    Manage the kind cluster of a lab. One that a killed run left half-made is made anew; one that
    somebody else made is refused, untouched.

    + settings: the lab's settings
    + image: the node image
    + template: the folder with the template of the kind configuration
    + present: whether the cluster should exist
    """
    state = host.get_fact(KindCluster, settings=settings)
    if state.owner == "foreign":
        if not present:
            host.noop(f"the kind cluster {settings.lab} is not this lab's")
            return
        yield refusal(
            f"there is a kind cluster {settings.lab} that this lab did not make; it is left alone:"
            " choose another name for the lab (SOPSLAB_LAB)"
        )
        return
    if not present:
        if state.owner == "nobody":
            host.noop(f"there is no kind cluster {settings.lab}")
            return
        yield lab_script(settings, _DELETE, settings.lab, settings.lab_dir)
        return
    if state.complete:
        host.noop(f"the kind cluster {settings.lab} is there")
        return
    if state.owner == "lab":
        note("the cluster was half-made and is made anew")
    machine = host.get_fact(Machine, root=settings.root, commands=[])
    variables = {
        "api_port": settings.api_port,
        "cgroup": machine.cgroup,
        "cni": host.get_fact(ImageLabels, target=image).get(CNI_LABEL),
        "restricted": machine.restricted,
    }
    config = render_tree(Path(template), variables)["config.yaml"].content.decode()
    yield lab_script(
        settings,
        _CREATE,
        settings.lab,
        image,
        settings.lab_dir,
        network_name(settings.lab),
        stdin=config,
    )


@operation()
def node(settings: Settings) -> Commands:
    """
    Have the node container of a lab's cluster running.

    + settings: the lab's settings
    """
    state = host.get_fact(KindCluster, settings=settings)
    if state.status in {"", "running"} or state.owner != "lab":
        host.noop("the node runs")
        return
    note(f"the node container was {state.status}")
    yield lab_script(settings, _START, node_name(settings.lab))
