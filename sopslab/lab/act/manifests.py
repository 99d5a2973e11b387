"""Bring the cluster to what the manifests in a file say."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sopslab.checks import causes
from sopslab.checks.applied import lasting
from sopslab.checks.recreation import RECREATE
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.observe.applied import manifests_digest, record_file
from sopslab.lab.observe.existing import lab_namespaces
from sopslab.lab.observe.manifests import ending_kinds, ending_namespaces
from sopslab.lab.observe.objects import listed
from sopslab.lab.tools import files
from sopslab.lab.tools.kubectl import MANAGER, Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.waiting import Deadline, wait_until
from sopslab.layout import FLUX_FINALIZER, GIT_REPOSITORIES, KUSTOMIZATIONS, RECEIVERS
from sopslab.model.objects import Object
from sopslab.model.results import Undecided

_ENDING_S, _SERVED_S = 60, 120
# If there is no answer in this time, the next manifests that are applied show what is wrong.
_ASKED_S = 20

# Of what the API server says about a namespace, only names and numbers are shown.
_HELD = re.compile(r"[A-Za-z0-9.:/-]+ (?:in|has) [0-9]+ resource instances?")
_UNTOLD = "the API server does not tell what holds it"
_NOT_SERVED = re.compile(r"no matches for kind|NotFound|not found")


def apply(lab: Lab, path: str) -> None:
    """Bring the cluster to what the manifests in a file say, and wait until it serves the kinds
    that they define. Raises LabError if the cluster refuses them."""
    text = Path(path).read_text(encoding="utf-8")
    _await_end(lab, "namespace", lambda: ending_namespaces(lab, text), _held)
    _await_end(lab, "kind", lambda: ending_kinds(lab, text), _left)
    deadline = Deadline(_SERVED_S)
    while True:
        try:
            made = Kubectl(lab).apply_file(path)
        except Failed as failure:
            # The API server takes a moment to serve a kind that was just defined.
            said = "\n".join(failure.lines)
            if not _NOT_SERVED.search(said) or deadline.is_over:
                raise LabError(
                    f"the cluster refused what the lab is made of: {causes.refused(failure.lines)};"
                    f" `kubectl apply --server-side --dry-run=server --filename {path}` shows its"
                    " own words"
                ) from None
            time.sleep(0.2)
        else:
            _ask_for(lab, made)
            _remember(lab, path, made)
            return


def _ask_for(lab: Lab, made: Iterable[Object]) -> None:
    """Ask for all objects of the kinds that were defined, until the cluster serves these kinds.

    The API server begins to keep the objects of a kind in memory when it is first asked for them,
    and turns away for a second whoever watches them before that. Otherwise, this would happen to
    Flux's controllers, which watch one kind after the other.
    """
    kinds = defined_kinds(made)
    if kinds:
        asked = ("get", ",".join(kinds), "--all-namespaces", "--output", "name")
        wait_until(lambda: Kubectl(lab).succeeds(*asked, patience=20), _ASKED_S, pause=0.1)


def defined_kinds(made: Iterable[Object]) -> list[str]:
    """Return the kinds that objects define, as kubectl takes them."""
    return [one["metadata"]["name"] for one in made if one["kind"] == "CustomResourceDefinition"]


def _remember(lab: Lab, path: str, made: Iterable[Object]) -> None:
    """Record what the cluster has made of the manifests in a file."""
    record = {
        "manifests": manifests_digest(path),
        "objects": [lasting(one, MANAGER) for one in made],
    }
    files.write(record_file(lab, path), json.dumps(record))


def _await_end(
    lab: Lab, kind: str, ending: Callable[[], list[str]], holds: Callable[[Lab, str], str]
) -> None:
    """Wait until none of the named objects is being deleted any more. Raises LabError, which says
    what holds the first of them, if that takes too long."""
    deadline = Deadline(_ENDING_S)
    while left := ending():
        if deadline.is_over:
            anew = f"; {RECREATE}" if lab.cluster_provider == "kind" else ""
            raise LabError(
                f"the {kind} {left[0]} is being deleted, and after {_ENDING_S} s it is not gone:"
                f" {holds(lab, left[0])}. Whoever put a finalizer there has to let go, or you"
                f" remove it by hand{anew}"
            )
        let_go(lab)
        time.sleep(1)


def _held(lab: Lab, namespace: str) -> str:
    """Return what is left in a namespace that is being deleted, and the finalizers that hold it."""
    try:
        found = Kubectl(lab).get("namespace", namespace) or {}
    except Undecided:
        found = {}
    return holders(found)


def holders(namespace: Any) -> str:
    """Return in words what holds a namespace, according to the API server."""
    conditions = (namespace.get("status") or {}).get("conditions") or []
    said = " ".join(one.get("message", "") for one in conditions if one["status"] == "True")
    found = [one.replace(" has ", " in ") for one in _HELD.findall(said)]
    return f"held by {', '.join(found)}" if found else _UNTOLD


def _left(lab: Lab, kind: str) -> str:
    """Return in words which objects hold a kind that is being deleted."""
    try:
        named = Kubectl(lab).run("get", kind, "--all-namespaces", "--output", "name")
    except Failed:
        return _UNTOLD
    return " ".join(named.decode().split()) or _UNTOLD


def let_go(lab: Lab) -> None:
    """Remove Flux's own finalizer from those of its objects that are being deleted: they wait for a
    controller that may be gone itself. What they have applied stays, as with `flux uninstall`. In a
    cluster that the lab did not make, objects in others' namespaces are left alone."""
    kubectl, existing = Kubectl(lab), lab.cluster_provider == "existing"
    own = lab_namespaces(lab) or () if existing else None
    for kind in (KUSTOMIZATIONS, GIT_REPOSITORIES, RECEIVERS):
        for one in listed(lab, kind):
            named = one["metadata"]
            is_ours = own is None or named["namespace"] in own
            if "deletionTimestamp" not in named or not is_ours:
                continue
            kept = [name for name in named.get("finalizers") or [] if name != FLUX_FINALIZER]
            kubectl.succeeds(
                "--namespace", named["namespace"], "patch", kind, named["name"],
                "--type", "merge", "--patch", json.dumps({"metadata": {"finalizers": kept}}),
            )  # fmt: skip
