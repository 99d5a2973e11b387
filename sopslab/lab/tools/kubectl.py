"""The lab's cluster, through kubectl. Every call names its context, and ends within bounded
time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sopslab.config.places import Places
from sopslab.lab.tools.files import has_content
from sopslab.lab.tools.programs import Failed, Stream, ask, lab_environment, lines, run
from sopslab.layout import GIT_REPOSITORIES, KUSTOMIZATIONS, RECEIVERS
from sopslab.model.objects import FLUX_KINDS, Object, identity
from sopslab.model.results import Undecided

MANAGER = "sops-lab"
# The field manager of requests to Flux. If a manager's name begins with `kubectl`, Flux removes its
# fields from the objects that Flux applies, perhaps before Flux has seen the request.
FLUX = "flux"
# Server-side apply goes by the schema in any case. If kubectl were told to be strict, it would
# first fetch the whole API.
_OWNED = ("--server-side", "--validate=warn", "--field-manager", MANAGER)
# After how many seconds without data a connection is asked for a sign of life, and after how many
# more it counts as dead. Otherwise, a process that waits for news would take a frozen node for a
# quiet one.
_ALIVE = {"HTTP2_READ_IDLE_TIMEOUT_SECONDS": "5", "HTTP2_PING_TIMEOUT_SECONDS": "3"}
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
# The kinds that are listed often, and may be many, with the paths of their APIs.
_SERVED = {
    "secrets": "/api/v1",
    "clusterrolebindings": _RBAC,
    "rolebindings": _RBAC,
    GIT_REPOSITORIES: f"/apis/{FLUX_KINDS['GitRepository']}",
    KUSTOMIZATIONS: f"/apis/{FLUX_KINDS['Kustomization']}",
    RECEIVERS: f"/apis/{FLUX_KINDS['Receiver']}",
}


class Kubectl:
    """The API server of the lab's cluster."""

    def __init__(
        self, places: Places, *, kubeconfig: str | Path | None = None, context: str | None = None
    ) -> None:
        """
        + kubeconfig: a file, or several as `$KUBECONFIG` names them; without it, the lab's own
        + context: one of its contexts; without it, the lab's
        """
        self._places = places
        self._command = ["kubectl", "--context", context or places.lab_context]
        self._environment = lab_environment(places)
        if kubeconfig is not None:
            self._environment["KUBECONFIG"] = str(kubeconfig)

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        patience: float = 60,
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return what kubectl prints. Raises Failed."""
        together = self._environment | dict(environment or {})
        return run([*self._command, *arguments], together, stdin=stdin, patience=patience)

    def say(self, *arguments: str, patience: float = 60) -> bytes:
        """Return what kubectl prints, even if it fails; nothing if it does not end in time."""
        command = [*self._command, *arguments]
        try:
            return ask(command, self._environment, patience=patience).out
        except Undecided:
            return b""

    def succeeds(self, *arguments: str, stdin: bytes = b"", patience: float = 60) -> bool:
        """Whether kubectl ends without a failure."""
        try:
            self.run(*arguments, stdin=stdin, patience=patience)
        except Failed:
            return False
        return True

    def is_ready(self) -> bool:
        """Whether the API server answers, and is ready."""
        return self.succeeds("get", "--raw", "/readyz", "--request-timeout", "10s", patience=15)

    def list(
        self,
        kinds: str,
        *,
        namespace: str | None = None,
        selector: str | None = None,
        fields: str | None = None,
        patience: float = 60,
    ) -> list[Object]:
        """Return the objects of some kinds. Raises Undecided where they cannot be seen.

        + kinds: as kubectl takes them, with commas between
        + namespace: the namespace to look into, for kinds that have one; without it, all of them
        + selector: a selector of labels
        + fields: a selector of fields
        """
        names = kinds.split(",")
        if _SERVED.keys() >= {*names}:
            chosen = {"labelSelector": selector, "fieldSelector": fields}
            paths = [path_to(name, namespace, **chosen) for name in names]
            return [one for path in paths for one in self._served(path, patience)]
        where = ["--all-namespaces"] if namespace is None else ["--namespace", namespace]
        where += ["--selector", selector] if selector else []
        where += ["--field-selector", fields] if fields else []
        return list(parsed(self._get(kinds, *where, patience=patience))["items"])

    def _served(self, path: str, patience: float) -> Sequence[Object]:
        """Return the objects of a list as the API server writes it. kubectl passes it on unread, so
        that what it leaves out otherwise is left out here."""
        whole = parsed(self._said("get", "--raw", path, patience=patience))
        # Objects of kinds that are built in come without their kind, which the list has.
        kind = str(whole.get("kind", "")).removesuffix("List")
        named = {"apiVersion": whole.get("apiVersion"), "kind": kind}
        for one in whole["items"]:
            one["metadata"].pop("managedFields", None)
        return [{**named, **one} for one in whole["items"]]

    def get(
        self, kind: str, name: str, namespace: str | None = None, *, patience: float = 60
    ) -> Object | None:
        """Return an object, None if it is not there. Raises Undecided where that cannot be seen."""
        where = [] if namespace is None else ["--namespace", namespace]
        said = self._get(kind, name, *where, "--ignore-not-found", patience=patience)
        return parsed(said) if said.strip() else None

    def present(self, *names: str, patience: float = 60) -> Sequence[Object]:
        """Return those of the named objects that are there. Raises Undecided where that cannot be
        seen.

        + names: objects without a namespace, each as `kind/name`
        """
        said = self._get(*names, "--ignore-not-found", patience=patience)
        return _objects(parsed(said)) if said.strip() else []

    def named(self, objects: Iterable[Object], *, patience: float = 60) -> Sequence[Object]:
        """Return the objects of the cluster that are named as these are. Raises Undecided where one
        of them is not there, or cannot be seen."""
        names = listed(map(identity, objects))
        return _objects(parsed(self._get("--filename", "-", stdin=names, patience=patience)))

    def _get(self, *arguments: str, stdin: bytes = b"", patience: float = 60) -> bytes:
        return self._said("get", *arguments, "--output", "json", stdin=stdin, patience=patience)

    def _said(self, *arguments: str, stdin: bytes = b"", patience: float) -> bytes:
        """Return what kubectl prints. Raises Undecided where it fails."""
        try:
            return self.run(*arguments, stdin=stdin, patience=patience)
        except Failed:
            raise Undecided("the cluster could not be asked", "sopslab up") from None

    def follow(self, path: str, take: Callable[[bytes], bool]) -> Stream:
        """Pass each line that the API server sends at a path to `take`, as it comes. Raises Failed
        where kubectl cannot be run. A connection that dies ends the stream within 10 s.

        + take: is given each line, in a thread of its own, and returns whether it wants more
        """
        return Stream([*self._command, "get", "--raw", path], self._environment | _ALIVE, take)

    def cluster(self) -> Object | None:
        """Return what the kubeconfig says of the cluster, None where it names none."""
        if not has_content(self._places.lab_kubeconfig):
            return None
        view = ["config", "view", "--minify", "--flatten", "--raw", "--output", "json"]
        try:
            clusters = json.loads(self.run(*view)).get("clusters")
        except (Failed, ValueError):
            return None
        return clusters[0].get("cluster") if clusters else None

    def create(self, objects: Iterable[Object], patience: float = 60) -> Iterator[str]:
        """Create objects, and yield kubectl's name for each as soon as it is there. Raises Failed
        at the end if one of them was refused."""
        command = [
            *self._command, "--request-timeout", "20s",
            "create", "--validate=warn", "--filename", "-", "--output", "name",
        ]  # fmt: skip
        yield from lines(command, self._environment, stdin=listed(objects), patience=patience)

    def apply(
        self, objects: Iterable[Object], *, force: bool = True, patience: float = 120
    ) -> None:
        """Apply objects on the server's side. Raises Failed."""
        items = list(objects)
        if items:
            more = ["--force-conflicts"] if force else []
            self.run(
                "apply", *_OWNED, *more, "--filename", "-", stdin=listed(items), patience=patience
            )

    def apply_file(self, path: str, *, patience: float = 60) -> Sequence[Object]:
        """Apply a file of manifests on the server's side. Return the resulting objects, with the
        managers of their fields. Raises Failed."""
        shown = ("--output", "json", "--show-managed-fields")
        request = ("apply", *_OWNED, "--force-conflicts", "--filename", path)
        return _objects(parsed(self.run(*request, *shown, patience=patience)))

    def replace(self, objects: Iterable[Object], *, patience: float = 120) -> None:
        """Replace existing objects by exactly these. Raises Failed."""
        items = list(objects)
        if items:
            self.run(
                "replace", "--validate=warn", "--filename", "-",
                stdin=listed(items), patience=patience,
            )  # fmt: skip

    def patch(
        self,
        kind: str,
        name: str,
        namespace: str,
        patch: Object,
        *,
        manager: str = MANAGER,
        strategy: str = "merge",
    ) -> None:
        """Change an object by a patch. Raises Failed.

        + manager: who the changed fields belong to
        + strategy: how the patch is understood: `merge`, `strategic` or `json`
        """
        self.run(
            "--namespace", namespace, "patch", kind, name, "--type", strategy,
            "--field-manager", manager, "--patch-file", "/dev/stdin",
            stdin=json.dumps(patch).encode(),
        )  # fmt: skip

    def patch_all(self, objects: Iterable[Object], patch: Object, *, manager: str) -> None:
        """Change objects, given by kind, namespace and name, all by the same patch. Raises Failed.

        + manager: who the changed fields belong to
        """
        items = list(map(identity, objects))
        if items:
            self.run(
                "patch", "--filename", "-", "--field-manager", manager, "--type", "merge",
                "--patch", json.dumps(patch), stdin=listed(items),
            )  # fmt: skip

    def ask_flux(self, objects: Sequence[Object], seconds: float = 60) -> None:
        """Ask Flux to look again, now, at objects that are given by kind, namespace and name.

        Whether Flux has heard it, only a later look shows.
        """
        if objects:
            self._request("--filename", "-", stdin=listed(objects), patience=seconds)

    def ask_flux_in(self, namespace: str, *what: str, seconds: float = 60) -> None:
        """Ask Flux to look again, now, at what arguments of kubectl name in a namespace."""
        self._request("--namespace", namespace, *what, patience=seconds)

    def _request(self, *what: str, stdin: bytes = b"", patience: float) -> None:
        self.succeeds(
            "annotate", "--overwrite", "--field-manager", FLUX, *what,
            f"reconcile.fluxcd.io/requestedAt={datetime.now(UTC).isoformat()}",
            stdin=stdin, patience=patience,
        )  # fmt: skip


def path_to(kind: str, namespace: str | None = None, **selectors: str | None) -> str:
    """Return the path at which the API server lists objects.

    + kind: one of `_SERVED`
    + namespace: their namespace; without it, all of them
    + selectors: `labelSelector` and `fieldSelector`, as far as they choose
    """
    space = "" if namespace is None else f"/namespaces/{namespace}"
    path = f"{_SERVED[kind]}{space}/{kind.partition('.')[0]}"
    # These characters may be in a query as they are.
    query = urlencode({name: text for name, text in selectors.items() if text}, safe="!=,/")
    return f"{path}?{query}" if query else path


def listed(objects: Iterable[Object]) -> bytes:
    """Return objects as one List in JSON."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}).encode()


def _objects(said: Any) -> list[Object]:
    """Return the objects that kubectl prints: a List, or one object without a List."""
    return list(said["items"]) if said["kind"] == "List" else [said]


def parsed(said: bytes) -> Any:
    """Return what kubectl prints as JSON. Raises Undecided if it is not JSON."""
    try:
        return json.loads(said)
    except ValueError:
        raise Undecided("the cluster did not answer in JSON", "sopslab up") from None
