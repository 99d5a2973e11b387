"""What the cluster has of all seats: three requests, side by side, for a class of any size. In a
cluster that the lab did not make, its namespaces are listed before. While a build of a seat takes
too long, one more request shows whose turn it is.

No value of a learner's Secret enters this process, because kubectl does not print them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from sopslab.checks.snapshot import NOT_ASKED, LiveSecret, Snapshot
from sopslab.config.places import Places
from sopslab.lab.observe.builds import held_by, seat_of
from sopslab.lab.observe.keys import PublicKeys, key_files, look_at_cluster_key
from sopslab.lab.observe.objects import Objects, ask_for, get, owner_of, refused
from sopslab.lab.observe.scopes import EVERYWHERE, Scope, gathered, scopes_of_seats
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.layout import KEY_SECRET, KUSTOMIZATIONS, SEAT_LABEL
from sopslab.model.objects import Object
from sopslab.model.results import Undecided

PATIENCE_S = 8.0
"""How long each request to the API server may take, in seconds."""

# Everything of a Secret except its values: namespace, name, Flux's annotation `reconcile`, labels,
# an empty field, keys. The annotation may be any text; quoted, it cannot break out of its field.
_SECRET = (
    "{{.metadata.namespace}}"
    '{{"\\t"}}{{.metadata.name}}'
    '{{"\\t"}}{{with .metadata.annotations}}'
    '{{printf "%q" (index . "kustomize.toolkit.fluxcd.io/reconcile")}}{{end}}'
    '{{range $name, $value := .metadata.labels}}{{"\\t"}}{{$name}}={{$value}}{{end}}{{"\\t"}}'
    '{{range $key, $value := .data}}{{"\\t"}}{{$key}}{{end}}{{"\\n"}}'
)
_WITHOUT_VALUES = f"{{{{range .items}}}}{_SECRET}{{{{end}}}}"
Live = Mapping[str, Mapping[str, LiveSecret]]


@dataclass(frozen=True)
class Questions:
    """Requests about all namespaces that are under way. Each function waits for its answer, and may
    raise Undecided.

    `holder` alone is a request that begins with the call: it returns what `ask_for_holder` does.
    """

    objects: Callable[[], Objects]
    keys: Callable[[], Objects]
    live: Callable[[], Live]
    holder: Callable[[], str | Undecided]

    def answered(self, seen: Iterable[Snapshot], public: PublicKeys) -> list[Snapshot]:
        """Return the snapshots of seats with what the cluster has of each. Raises Undecided."""
        objects, live = self.objects(), self.live()
        keys = {one["metadata"]["namespace"]: one.get("data") or {} for one in self.keys().items}
        public.learn(file for data in keys.values() for file in key_files(data).values())
        # No other build than a seat's is named, so without a long one of theirs nothing is asked.
        builds = (one for one in objects.items if one["kind"] == "Kustomization")
        is_held = held_by(builds, datetime.now(UTC)) is not None
        building = self.holder() if is_held else ""
        return [
            replace(
                objects.of(one),
                holder=building,
                key=look_at_cluster_key(keys.get(one.environment.system), public),
                live=live.get(one.environment.namespace, {}),
            )
            for one in seen
        ]


def ask_everywhere(places: Places, executor: Executor) -> Questions:
    """Start the requests about all namespaces, and return them."""
    kubectl = Kubectl(places)
    kinds = ("Namespace", "GitRepository", "Kustomization")
    return Questions(
        executor.submit(of_seats, kubectl, kinds).result,
        executor.submit(keys_of_seats, kubectl).result,
        executor.submit(live_secrets_of_seats, places, kubectl).result,
        partial(ask_for_holder, places, kubectl),
    )


def of_seats(kubectl: Kubectl, kinds: Sequence[str], *where: str) -> Objects:
    """Return the objects of some kinds that belong to seats. Raises Undecided.

    + where: more arguments of kubectl
    """
    asked = (EVERYWHERE, "--selector", SEAT_LABEL, *where)
    return ask_for(kubectl, kinds, *asked, patience=PATIENCE_S)


def keys_of_seats(kubectl: Kubectl) -> Objects:
    """Return the Secrets with the keys of all seats. Raises Undecided."""
    return of_seats(kubectl, ("Secret",), "--field-selector", f"metadata.name={KEY_SECRET}")


def live_secrets_of_seats(places: Places, kubectl: Kubectl) -> Live:
    """Return the Secrets of all seats as `live_secrets` does. Raises Undecided."""
    return live_secrets(kubectl, scopes_of_seats(places, kubectl))


def live_secrets(kubectl: Kubectl, scopes: Iterable[Scope]) -> Live:
    """Return Secrets by namespace and name, without their values. Raises Undecided."""
    return _live(secrets_without_values(kubectl, scopes))


def secrets_without_values(kubectl: Kubectl, scopes: Iterable[Scope]) -> str:
    """Return Secrets of the cluster without their values, one in each line. Raises Undecided."""

    def ask(scope: Scope) -> list[str]:
        asked = ("secrets", *scope.arguments, "--output", f"go-template={_WITHOUT_VALUES}")
        try:
            return [get(kubectl, *asked, patience=PATIENCE_S).decode("utf-8", "replace")]
        except Failed as failure:
            raise refused(failure) from None

    return "".join(gathered(scopes, ask))


def ask_for_holder(places: Places, kubectl: Kubectl) -> str | Undecided:
    """Return the seat whose build all others wait for, "" if no build takes too long, or if it is
    not a seat's."""
    try:
        builds = kubectl.list(KUSTOMIZATIONS, patience=PATIENCE_S)
    except Undecided as reason:
        return reason
    return holder(builds, places.lab, datetime.now(UTC))


def holder(kustomizations: Iterable[Object], lab: str, now: datetime) -> str:
    """Return the seat of a lab whose build all others wait for, "" if no build takes too long, or
    if it is not a seat's.

    + kustomizations: all of the cluster
    + lab: the lab's name
    """
    found = held_by(kustomizations, now)
    return "" if found is None else seat_of(found, lab)


def _live(lines: str) -> Live:
    live: dict[str, dict[str, LiveSecret]] = {}
    for line in lines.splitlines():
        namespace, name, reconcile, *rest = line.split("\t")
        end = rest.index("")
        owner = owner_of(dict(label.split("=", 1) for label in rest[:end]))
        left_alone = reconcile == '"disabled"'
        keys = frozenset(rest[end + 1 :])
        live.setdefault(namespace, {})[name] = LiveSecret(keys, NOT_ASKED, owner, left_alone)
    return live
