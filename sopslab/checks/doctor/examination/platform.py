"""The ground that all stands on: the cluster, the controllers, and what makes the environment."""

from __future__ import annotations

from collections.abc import Iterator

from sopslab.checks.causes import READING, cause_of
from sopslab.checks.doctor.objects import LEFT_ALONE, is_left_alone
from sopslab.checks.doctor.results import Cause, cause
from sopslab.checks.doctor.seen import Objects, Seen, known
from sopslab.checks.doctor.skew import skew
from sopslab.checks.verification.cluster import LOCKDOWN, is_available, judge_cluster, missing_flag
from sopslab.course.chapter import UP
from sopslab.layout import FLUX_NAMESPACE
from sopslab.model.objects import Object, condition
from sopslab.model.results import Status


def examine_cluster(seen: Seen) -> Iterator[Cause]:
    """Yield why the cluster itself is not well."""
    verdict = judge_cluster(seen.cluster)
    if verdict.status is Status.FAILED:
        yield cause(
            "cluster-down",
            "The cluster is not well, so nothing in it is delivered.",
            "the lab's cluster",
            verdict.found.rstrip("."),
            verdict.next_step,
        )


def examine_controllers(seen: Seen) -> Iterator[Cause]:
    """Yield what of Flux does not run, or not as the lab has it."""
    objects = known(seen.objects)
    deployments = {one["metadata"]["name"]: one for one in objects.flux.deployments}
    for name, flags in LOCKDOWN.items():
        what = f"Deployment {FLUX_NAMESPACE}/{name}"
        if name not in deployments:
            yield cause("controller-missing", "A part of Flux is missing.", what, "is gone", UP)
            continue
        flag = missing_flag(deployments[name], flags)
        # A controller that does not start because of its flags is named by the flag.
        if flag:
            yield cause(
                "drifted-lockdown-flag",
                f"The {name} runs without a flag that keeps tenants apart.",
                what,
                f"its arguments lack {flag}{hands_off(deployments[name])}",
                UP,
            )
        elif not is_available(deployments[name]):
            yield cause(
                "controller-down",
                f"The {name} is not available, so its part of the way stands still.",
                what,
                "has no pod that is ready and of its present form",
                f"kubectl -n {FLUX_NAMESPACE} logs deployment/{name} --tail 20",
            )
    yield from _examine_versions(seen, objects)


def _examine_versions(seen: Seen, objects: Objects) -> Iterator[Cause]:
    label = "app.kubernetes.io/version"
    versions = {
        (one["metadata"].get("labels") or {}).get(label, ""): one["metadata"]["name"]
        for one in objects.flux.deployments
    }
    for version, name in sorted(versions.items()):
        if distance := skew(seen.command, version):
            yield cause(
                "version-skew",
                "The command `flux` and the controllers are too far apart.",
                f"Deployment {FLUX_NAMESPACE}/{name}",
                f"is of Flux {version}, the command is {seen.command}: {distance}",
                UP,
            )


def examine_platform(seen: Seen) -> Iterator[Cause]:
    """Yield why the environment is not made, or not kept as the platform has it."""
    objects = known(seen.objects)
    for name in (seen.environment.namespace, seen.environment.system):
        phase = objects.namespaces.get(name)
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
    tenant = seen.environment.tenant
    if ("Kustomization", tenant) not in {
        (one["kind"], one["metadata"]["name"]) for one in objects.platform
    }:
        yield cause(
            "platform-missing",
            "The platform has no Kustomization that makes the environment.",
            f"Kustomization {FLUX_NAMESPACE}/{tenant}",
            "is gone",
            UP,
        )
    for one in objects.platform:
        name, kind = one["metadata"]["name"], one["kind"]
        if one["spec"].get("suspend"):
            word = "source git" if kind == "GitRepository" else "kustomization"
            yield cause(
                "suspended-platform",
                f"The platform's {kind} {name} is suspended, so nothing of it is kept in order.",
                f"{kind} {FLUX_NAMESPACE}/{name}",
                "spec.suspend is true",
                f"flux --namespace {FLUX_NAMESPACE} resume {word} {name}",
            )
        elif condition(one, "Ready").get("status") == "False" and not _is_over(one, seen):
            reason = condition(one, "Ready").get("reason", "no reason given")
            yield cause(
                "platform-not-ready",
                f"Flux cannot bring the platform's {kind} {name} up to date.",
                f"{kind} {FLUX_NAMESPACE}/{name}",
                f"is not ready ({reason})",
                UP,
            )


def _is_over(source: Object, seen: Seen) -> bool:
    """Return whether a source failed for want of a credential that is accepted by now.

    Outside a class the platform is read with the one of the environment, which was tried.
    """
    login = known(seen.objects).login
    if source["kind"] != "GitRepository" or seen.environment.is_seat or login is None:
        return False
    recognised = cause_of(str(condition(source, "Ready").get("message", "")), READING)
    return recognised is not None and recognised.id == "login-refused" and login.answer == 200


def hands_off(found: Object) -> str:
    """Return in words that Flux was told to leave an object as it is, empty if it was not."""
    if not is_left_alone(found):
        return ""
    return ", and an annotation tells Flux to leave it so"


def restore(found: Object, seen: Seen) -> str:
    """Return the command with which the platform's form of an object of the environment is back."""
    environment, kind = seen.environment, found["kind"].lower()
    made = f"flux --namespace {FLUX_NAMESPACE} reconcile kustomization {environment.tenant}"
    if not hands_off(found):
        return made if environment.is_seat else UP
    name = found["metadata"]["name"]
    return f"kubectl -n {environment.system} annotate {kind} {name} {LEFT_ALONE}- && {made}"
