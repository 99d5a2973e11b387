"""Objects of the lab's cluster: many are listed in one request, and then sorted by environment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sopslab.checks.objects import is_left_alone
from sopslab.checks.snapshot import GOING, NOT_ASKED, Cluster, LiveSecret, Snapshot
from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.course.chapter import UP
from sopslab.lab.observe.scopes import Scope, gathered, scopes_of
from sopslab.lab.tools.files import has_content
from sopslab.lab.tools.kubectl import Kubectl, parsed, path_to
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.troubles import trouble_of
from sopslab.layout import FLUX_NAMESPACE, GIT_REPOSITORIES, KUSTOMIZATIONS, RECEIVERS
from sopslab.model.objects import FLUX_KINDS, Object, is_deleted
from sopslab.model.results import Undecided

# The resources of Flux's kinds, by kind.
_OF_FLUX = {
    "GitRepository": GIT_REPOSITORIES,
    "Kustomization": KUSTOMIZATIONS,
    "Receiver": RECEIVERS,
}
# The kinds of objects that make up an environment, and whose status shows how far it is.
DELIVERY = ("Namespace", *FLUX_KINDS)
_OWNER = "kustomize.toolkit.fluxcd.io"
_PLATFORM_SOURCES = (FLUX_NAMESPACE, "tenant-base")
# What `contents_of` leaves out: events disappear by themselves, and Flux's objects are listed by
# other requests.
_BESIDE = frozenset({"events", "events.events.k8s.io", *_OF_FLUX.values()})
# The endings of API groups that belong to Kubernetes (if they have a dot) and to Flux.
_KNOWN_GROUPS = (".k8s.io", ".toolkit.fluxcd.io")
# What kubectl prints about a kind that the cluster does not know.
_UNKNOWN = b"doesn't have a resource type"
# What the API server answers about a path of such a kind.
_UNKNOWN_PATH = b"could not find the requested resource"
# What kubectl prints if the user has no right. An ended login is told in other words.
_FORBIDDEN = b"(Forbidden)"
# How many seconds the API server may take to list all of Flux's objects of a kind.
_FLUX_S = 20
# How long kubectl may take besides: it has to start, and may have to ask which kinds exist.
_START_S = 4.0


class Objects:
    """Objects of the cluster that belong to different environments."""

    def __init__(
        self, items: Iterable[Object], asked: Collection[str], unknown: Collection[str] = ()
    ) -> None:
        """
        + asked: the kinds that were asked for
        + unknown: those of these kinds that the cluster does not know
        """
        self.items = list(items)
        self.asked, self.unknown = asked, unknown
        self._found: dict[tuple[str, str], list[Object]] = {}
        self._named: dict[tuple[str, str, str], Object] = {}
        for one in self.items:
            metadata = one["metadata"]
            kind, namespace = str(one["kind"]), str(metadata.get("namespace", ""))
            self._found.setdefault((kind, namespace), []).append(one)
            self._named[kind, namespace, str(metadata["name"])] = one

    def within(self, kind: str, namespace: str) -> Sequence[Object] | Undecided | None:
        """Return the objects of a kind in a namespace, None if the cluster does not know the
        kind."""
        if kind not in self.asked:
            return NOT_ASKED
        return None if kind in self.unknown else self._found.get((kind, namespace), [])

    def of(self, seen: Snapshot) -> Snapshot:
        """Return the snapshot of an environment with those of the objects that belong to it."""
        environment, asked = seen.environment, self.asked
        controllers = self.within("Deployment", FLUX_NAMESPACE)
        nodes = [one for one in self.items if one["kind"] == "Node"]
        return replace(
            seen,
            cluster=Cluster(nodes=nodes) if "Node" in asked else seen.cluster,
            controllers=[] if controllers is None else controllers,
            sources=self.within("GitRepository", environment.system),
            kustomizations=self.within("Kustomization", environment.system),
            receivers=self.within("Receiver", environment.system),
            platform=self._platform(environment) if "Kustomization" in asked else NOT_ASKED,
            namespaces=self._namespaces(environment) if "Namespace" in asked else NOT_ASKED,
        )

    def _namespaces(self, environment: Environment) -> dict[str, str]:
        names = (environment.namespace, environment.system)
        found = {name: self._named.get(("Namespace", "", name)) for name in names}
        return {name: _phase(one) for name, one in found.items() if one is not None}

    def _platform(self, environment: Environment) -> list[Object]:
        """Return the sources and Kustomizations in flux-system that make an environment."""
        wanted = (
            ("Kustomization", dict.fromkeys((FLUX_NAMESPACE, environment.tenant))),
            ("GitRepository", _PLATFORM_SOURCES),
        )
        places = [(kind, FLUX_NAMESPACE, name) for kind, names in wanted for name in names]
        return [self._named[place] for place in places if place in self._named]


def together(parts: Iterable[Objects]) -> Objects:
    """Return the objects of several requests."""
    each = list(parts)
    return Objects(
        [one for part in each for one in part.items],
        {kind for part in each for kind in part.asked},
        {kind for part in each for kind in part.unknown},
    )


def _phase(namespace: Object) -> str:
    if is_deleted(namespace):
        return GOING
    return str((namespace.get("status") or {}).get("phase", ""))


def ask_for(kubectl: Kubectl, kinds: Sequence[str], *where: str, patience: float) -> Objects:
    """Return the objects of some kinds; the cluster need not know all of them. Raises Undecided if
    the cluster cannot be asked, or does not know the only kind.

    + where: arguments of kubectl, such as those that name a namespace
    + patience: how many seconds the API server may take
    """
    try:
        return Objects(_listed(kubectl, kinds, where, patience), kinds)
    except Failed as failure:
        if not is_unknown(failure) or len(kinds) == 1:
            raise refused(failure) from None
    items: list[Object] = []
    unknown = set()
    for kind in kinds:
        try:
            items += _listed(kubectl, [kind], where, patience)
        except Failed as failure:
            if not is_unknown(failure):
                raise refused(failure) from None
            unknown.add(kind)
    return Objects(items, kinds, unknown)


def path_of(kind: str) -> str:
    """Return the path at which the API server lists namespaces, or the objects of one of Flux's
    kinds."""
    if kind == "Namespace":
        return "/api/v1/namespaces"
    return path_to(_OF_FLUX[kind])


def whole_list(kubectl: Kubectl, path: str, *, patience: float) -> Any:
    """Return the list of objects at a path, as the API server writes it; None if it does not know
    the kind. Raises Undecided if it cannot be asked.

    With `--raw`, kubectl passes the answer on without parsing it. That takes half of the processor
    time, and a quarter for a hundred seats.

    + path: as `path_of` gives it, perhaps with a query
    + patience: how many seconds the API server may take
    """
    try:
        return parsed(get(kubectl, "--raw", path, patience=patience))
    except Failed as failure:
        if _UNKNOWN_PATH in failure.words:
            return None
        raise refused(failure) from None


def _listed(
    kubectl: Kubectl, kinds: Sequence[str], where: Sequence[str], patience: float
) -> list[Object]:
    names = ",".join(_OF_FLUX.get(kind, f"{kind.lower()}s") for kind in kinds)
    said = get(kubectl, names, *where, "--output", "json", patience=patience)
    return list(parsed(said)["items"])


def get(kubectl: Kubectl, *arguments: str, patience: float) -> bytes:
    """Return what kubectl gets. Raises Failed.

    + patience: how many seconds the API server may take
    """
    bounded = ("--request-timeout", f"{patience:g}s")
    return kubectl.run("get", *arguments, *bounded, patience=patience + _START_S)


def listed(
    lab: Lab,
    kinds: str,
    *,
    namespaces: Collection[str] | None = None,
    selector: str | None = None,
    fields: str = "",
    patience: float = 30,
) -> list[Object]:
    """Return the objects of some kinds; none if the cluster does not show them.

    + kinds, selector, fields: as `Kubectl.list` takes them
    + namespaces: the namespaces to look into, as `scopes_of` takes them; without it, all of them
    """
    if not has_content(lab.lab_kubeconfig):
        return []
    kubectl = Kubectl(lab)
    try:
        scopes: Sequence[Scope] = [Scope(None, fields)]
        if namespaces is not None:
            scopes = scopes_of(lab, kubectl, namespaces, fields)
        return listed_in(kubectl, kinds, scopes, selector=selector, patience=patience)
    except Undecided:
        return []


def all_sources(lab: Lab) -> list[Object]:
    """Return the cluster's GitRepositories; none if it does not show them."""
    return listed(lab, GIT_REPOSITORIES, patience=_FLUX_S)


def all_kustomizations(lab: Lab) -> list[Object]:
    """Return the cluster's Kustomizations; none if it does not show them."""
    return listed(lab, KUSTOMIZATIONS, patience=_FLUX_S)


def listed_in(
    kubectl: Kubectl,
    kinds: str,
    scopes: Iterable[Scope],
    *,
    selector: str | None = None,
    patience: float = 60,
) -> list[Object]:
    """Return the objects of some kinds. Raises Undecided if the cluster does not show them.

    + kinds, selector: as `Kubectl.list` takes them
    """

    def ask(scope: Scope) -> list[Object]:
        return kubectl.list(
            kinds,
            namespace=scope.namespace,
            selector=selector,
            fields=scope.fields,
            patience=patience,
        )

    return gathered(scopes, ask)


def permitted_in(kubectl: Kubectl, kind: str, scopes: Iterable[Scope]) -> list[Object]:
    """Return the objects of a kind; none if the user has no right to list them. Raises Undecided if
    the cluster does not show them for another reason."""

    def ask(scope: Scope) -> list[Object]:
        asked = (kind, *scope.arguments, "--output", "json")
        try:
            said = get(kubectl, *asked, patience=60)
        except Failed as failure:
            if _FORBIDDEN in failure.words:
                return []
            raise refused(failure) from None
        return list(parsed(said)["items"])

    return gathered(scopes, ask)


def refused(failure: Failed) -> Undecided:
    """Return why the cluster could not be asked, according to the output of kubectl."""
    return Undecided(trouble_of(failure.words).value, UP)


def is_unknown(failure: Failed) -> bool:
    """Return whether kubectl failed because the cluster does not know a kind."""
    return _UNKNOWN in failure.words


def contents_of(kubectl: Kubectl, scopes: Iterable[Scope]) -> list[Object]:
    """Return all objects in namespaces that are of a kind of Kubernetes or Flux, except events,
    sources, Kustomizations and Receivers. Kinds that the cluster cannot list are left out. Raises
    Undecided if it lists none.

    Objects of other kinds are in nobody's way: a learner cannot make them. Where a cluster has such
    kinds, their own controllers may make objects in every namespace, and would make them again.
    """
    named = ("--namespaced", "--verbs", "list,delete", "--output", "name")
    kinds = kubectl.say("api-resources", *named).decode().split()
    wanted = ",".join(kind for kind in kinds if kind not in _BESIDE and not _is_others(kind))

    def ask(scope: Scope) -> list[Object]:
        said = kubectl.say("get", wanted, *scope.arguments, "--output", "json")
        return list(parsed(said)["items"])

    return gathered(scopes, ask)


def _is_others(kind: str) -> bool:
    group = kind.partition(".")[2]
    return "." in group and not group.endswith(_KNOWN_GROUPS)


def live_secret(found: Object, digests: Mapping[str, str] | Undecided = NOT_ASKED) -> LiveSecret:
    """Return a Secret of the cluster without its values.

    + digests: the SHA-256 of each value, by key
    """
    owner = owner_of(found["metadata"].get("labels") or {})
    return LiveSecret(frozenset(found.get("data") or {}), digests, owner, is_left_alone(found))


def owner_of(labels: Mapping[str, str]) -> str:
    """Return the Kustomization that applied an object, as `namespace/name`; "" if the object's
    labels name none."""
    names = [labels.get(f"{_OWNER}/{part}", "") for part in ("namespace", "name")]
    return "/".join(names) if all(names) else ""
