"""The platform: the cluster, the controllers, and the objects that make the environment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sopslab.checks import causes
from sopslab.checks.objects import LEFT_ALONE, failure, is_left_alone, resume
from sopslab.checks.rules.results import Cause, cause
from sopslab.checks.rules.skew import skew
from sopslab.checks.snapshot import Snapshot, known
from sopslab.course.chapter import UP
from sopslab.layout import FLUX_NAMESPACE
from sopslab.model.objects import Object, condition, is_ready, is_suspended, label

# The flags that flux/clusters/lab/flux-system/kustomization.yaml.j2 sets.
LOCKDOWN: Mapping[str, Sequence[str]] = {
    "source-controller": ("--metrics-addr=0",),
    "kustomize-controller": (
        "--no-cross-namespace-refs=true",
        "--no-remote-bases=true",
        "--default-service-account=default",
        "--metrics-addr=0",
    ),
    "notification-controller": ("--no-cross-namespace-refs=true", "--metrics-addr=0"),
}


def examine_cluster(seen: Snapshot) -> Iterator[Cause]:
    """Yield what is wrong with the cluster itself. A lost node is no fault while another node is
    ready."""
    cluster = known(seen.cluster)
    if cluster.trouble is not None:
        yield _down(cluster.trouble.value, UP)
    elif not cluster.nodes:
        yield _down("has no node", UP)
    elif not any(map(is_ready, cluster.nodes)):
        for node in cluster.nodes:
            yield _down(_not_ready(node), _describe(node))


def _not_ready(node: Object) -> str:
    reason = condition(node, "Ready").get("reason", "nothing was reported")
    return f"the node {node['metadata']['name']} is not ready ({reason})"


def _describe(node: Object) -> str:
    return f"kubectl describe node {node['metadata']['name']}"


def _down(found: str, next_step: str) -> Cause:
    return cause(
        "cluster-down",
        "The cluster is not well, so nothing in it is delivered.",
        "the lab's cluster",
        found,
        next_step,
    )


def examine_controllers(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause for each controller of Flux that is missing, not available, or lacks one of the
    lab's flags."""
    deployments = {one["metadata"]["name"]: one for one in known(seen.controllers)}
    for name, flags in LOCKDOWN.items():
        what = f"Deployment {FLUX_NAMESPACE}/{name}"
        if name not in deployments:
            yield cause("controller-missing", "A part of Flux is missing.", what, "is gone", UP)
            continue
        flag = _missing_flag(deployments[name], flags)
        # Flags come first, because a controller may be unavailable because of its flags.
        if flag:
            yield cause(
                "drifted-lockdown-flag",
                f"The {name} runs without a flag that keeps tenants apart.",
                what,
                f"its arguments lack {flag}{hands_off(deployments[name])}",
                UP,
            )
        elif not _is_available(deployments[name]):
            found, next_step = _unavailable(name, known(seen.cluster).nodes)
            yield cause(
                "controller-down",
                f"The {name} is not available, so its part of the way stands still.",
                what,
                found,
                next_step,
            )


def _unavailable(name: str, nodes: Iterable[Object]) -> tuple[str, str]:
    """Return what was seen of a controller that is not available, and a next step."""
    found = "has no pod that is ready and of its present form"
    if not (lost := [node for node in nodes if not is_ready(node)]):
        return found, f"kubectl -n {FLUX_NAMESPACE} logs deployment/{name} --tail 20"
    # The controller's pods tolerate a lost node for half a minute before they start elsewhere.
    names = ", ".join(map(_not_ready, lost))
    return f"{found}; {names}: its pods start elsewhere within two minutes", _describe(lost[0])


def _missing_flag(deployment: Object, flags: Sequence[str]) -> str:
    """Return the first of `flags` that is not in effect, empty if all are. If a flag is set twice,
    its last value counts."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    given: dict[str, str] = {}
    for argument in (containers[0].get("args") or []) if containers else []:
        name, equals, value = argument.partition("=")
        given[name] = value if equals else "true"
    for flag in flags:
        name, _, value = flag.partition("=")
        if given.get(name) != value:
            return flag
    return ""


def _is_available(deployment: Object) -> bool:
    """Return whether a Deployment has a ready pod of its present revision."""
    status = deployment.get("status", {})
    current = status.get("observedGeneration") == deployment["metadata"]["generation"]
    # While a rollout hangs, the old pod stays, so the Deployment is still `Available`.
    updated = status.get("updatedReplicas", 0) == deployment["spec"].get("replicas", 1) > 0
    return current and updated and condition(deployment, "Available").get("status") == "True"


def examine_versions(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause if the versions of the command `flux` and of the controllers do not fit."""
    command = {tool.name: tool.version for tool in known(seen.tools)}.get("flux") or ""
    versions = {
        label(one, "app.kubernetes.io/version") or "": one["metadata"]["name"]
        for one in known(seen.controllers)
    }
    for version, name in sorted(versions.items()):
        if distance := skew(command, version):
            yield cause(
                "version-skew",
                "The command `flux` and the controllers are too far apart.",
                f"Deployment {FLUX_NAMESPACE}/{name}",
                f"is of Flux {version}, the command is {command}: {distance}",
                UP,
            )


def examine_kinds(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause for each of Flux's kinds that the cluster does not know."""
    for kind, found in (
        ("GitRepository", known(seen.sources)),
        ("Kustomization", known(seen.kustomizations)),
        ("Receiver", known(seen.receivers)),
    ):
        if found is None:
            yield cause(
                "kind-missing",
                "Flux is incomplete: the cluster does not know all of its kinds.",
                f"the kind {kind}",
                "is not known",
                UP,
            )


def examine_namespaces(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause for each namespace of the environment that is missing or being deleted."""
    namespaces = known(seen.namespaces)
    for name in (seen.environment.namespace, seen.environment.system):
        phase = namespaces.get(name)
        if phase is None:
            yield cause(
                "namespace-missing",
                f"The namespace {name} does not exist.",
                f"Namespace {name}",
                "is gone",
                UP,
            )
        elif phase != "Active":
            yield cause(
                "namespace-terminating",
                f"The namespace {name} is being deleted.",
                f"Namespace {name}",
                f"its phase is {phase}",
                f"sopslab reset {seen.environment.id}",
            )


def examine_platform(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause if the platform does not make the environment, or does not keep it up to
    date."""
    platform, tenant = known(seen.platform), seen.environment.tenant
    if ("Kustomization", tenant) not in {
        (one["kind"], one["metadata"]["name"]) for one in platform
    }:
        yield cause(
            "platform-missing",
            "The platform has no Kustomization that makes the environment.",
            f"Kustomization {FLUX_NAMESPACE}/{tenant}",
            "is gone",
            UP,
        )
    for one in platform:
        name, kind = one["metadata"]["name"], one["kind"]
        if is_suspended(one):
            yield cause(
                "suspended-platform",
                f"The platform's {kind} {name} is suspended, so nothing of it is kept in order.",
                f"{kind} {FLUX_NAMESPACE}/{name}",
                "spec.suspend is true",
                resume(one),
            )
        elif failure(one) is not None and not _is_over(one, seen):
            ready = condition(one, "Ready")
            yield cause(
                "platform-not-ready",
                f"Flux cannot bring the platform's {kind} {name} up to date.",
                f"{kind} {FLUX_NAMESPACE}/{name}",
                f"is not ready: {causes.meaning(kind, ready, name, seen.environment.namespace)}",
                UP,
            )


def _is_over(source: Object, seen: Snapshot) -> bool:
    """Return whether a source failed because of a server or a credential that works by now.

    On a lab without a class, Flux reads the platform with the environment's credential, so the
    answer to that credential decides.
    """
    if source["kind"] != "GitRepository":
        return False
    refused = failure(source)
    meaning = None if refused is None else refused.meaning
    if meaning is not None and meaning.id == "server-silent":
        return known(seen.server).answer is not None
    if meaning is None or meaning.id != "login-refused" or seen.environment.is_seat:
        return False
    login = known(seen.login)
    return login is not None and login.answer == 200


def examine_receivers(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause for each suspended Receiver, through which Flux would hear of pushes."""
    for one in known(seen.receivers) or ():
        if is_suspended(one):
            name = one["metadata"]["name"]
            yield cause(
                "suspended-receiver",
                f"The Receiver {name} is suspended, so Flux hears of no push and reads at its"
                " interval.",
                f"Receiver {seen.environment.system}/{name}",
                "spec.suspend is true",
                resume(one),
            )


def hands_off(found: Object) -> str:
    """Return a clause if an object tells Flux to leave it as it is, or else an empty text."""
    if not is_left_alone(found):
        return ""
    return ", and an annotation tells Flux to leave it so"


def restore(found: Object, seen: Snapshot) -> str:
    """Return the command that makes an object of the environment as the platform defines it."""
    environment, kind = seen.environment, found["kind"].lower()
    made = f"flux --namespace {FLUX_NAMESPACE} reconcile kustomization {environment.tenant}"
    if not hands_off(found):
        return made if environment.is_seat else UP
    name = found["metadata"]["name"]
    return f"kubectl -n {environment.system} annotate {kind} {name} {LEFT_ALONE}- && {made}"
