"""The lab's cluster, through kubectl; every call names its context and ends by itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sopslab.config.places import Places
from sopslab.lab.tools.files import has_content
from sopslab.lab.tools.programs import Failed, lab_environment, run
from sopslab.model.results import Undecided

Object = Mapping[str, Any]

MANAGER = "sops-lab"
# Where it asks Flux for something: what a manager of fields sets whose name begins with `kubectl`,
# Flux takes away from what it applies, perhaps before it is heard.
_FLUX = "flux"


class Kubectl:
    """The API server of the lab's cluster."""

    def __init__(self, places: Places, kubeconfig: str | Path | None = None) -> None:
        """
        + kubeconfig: another one than the lab's, of a cluster that is being made
        """
        self._places = places
        self._environment = lab_environment(places)
        if kubeconfig is not None:
            self._environment["KUBECONFIG"] = str(kubeconfig)

    def run(self, *arguments: str, stdin: bytes = b"", patience: float = 60) -> bytes:
        """Return what kubectl prints. Raises Failed."""
        command = ["kubectl", "--context", self._places.lab_context, *arguments]
        return run(command, self._environment, stdin=stdin, patience=patience)

    def succeeds(self, *arguments: str, stdin: bytes = b"", patience: float = 60) -> bool:
        """Whether kubectl ends without a failure."""
        try:
            self.run(*arguments, stdin=stdin, patience=patience)
        except Failed:
            return False
        return True

    def answers(self) -> bool:
        """Whether there is a cluster, and its API server is ready."""
        if not has_content(self._places.lab_kubeconfig):
            return False
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
        + namespace: the one to look into; all without it
        + selector: of labels
        + fields: a selector of fields
        """
        where = ["--all-namespaces"] if namespace is None else ["--namespace", namespace]
        where += ["--selector", selector] if selector else []
        where += ["--field-selector", fields] if fields else []
        return list(_parsed(self._get(kinds, *where, patience=patience))["items"])

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """Return an object, None if it is not there. Raises Undecided where that cannot be seen."""
        where = [] if namespace is None else ["--namespace", namespace]
        said = self._get(kind, name, *where, "--ignore-not-found")
        return _parsed(said) if said.strip() else None

    def _get(self, *arguments: str, patience: float = 60) -> bytes:
        try:
            return self.run("get", *arguments, "--output", "json", patience=patience)
        except Failed:
            raise Undecided("the cluster could not be asked", "sopslab up") from None

    def apply(
        self, objects: Iterable[Object], *, force: bool = True, patience: float = 120
    ) -> None:
        """Apply objects on the server's side. Raises Failed."""
        items = list(objects)
        if items:
            owned = ["--server-side", "--field-manager", MANAGER]
            owned += ["--force-conflicts"] if force else []
            self.run("apply", *owned, "--filename", "-", stdin=listed(items), patience=patience)

    def ask_flux(self, objects: Sequence[Object], seconds: float = 60) -> None:
        """Ask Flux to look again, now, at objects of which kind, namespace and name are given.

        Whether it was heard is seen by whoever looks next.
        """
        if objects:
            self.succeeds(
                "annotate", "--overwrite", "--field-manager", _FLUX, "--filename", "-",
                f"reconcile.fluxcd.io/requestedAt={datetime.now(UTC).isoformat()}",
                stdin=listed(objects), patience=seconds,
            )  # fmt: skip


def listed(objects: Iterable[Object]) -> bytes:
    """Return objects as one List in JSON."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}).encode()


def _parsed(said: bytes) -> Any:
    try:
        return json.loads(said)
    except ValueError:
        raise Undecided("the cluster did not answer in JSON", "sopslab up") from None
