"""A temporary namespace, in which pods and dry runs test an existing cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from sopslab.checks.controller_pods import account
from sopslab.config.naming import probe_namespace
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.observe.ownership import owner_by, owner_labels
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.waiting import Deadline
from sopslab.model.objects import Object, namespace
from sopslab.model.results import Undecided

_PAUSE_S = 1.0


class ProbeSpace:
    """The temporary namespace, as long as it is there."""

    def __init__(self, kubectl: Kubectl, name: str) -> None:
        self.name = name
        self.kubectl = kubectl

    def seen(self) -> Object:
        """Return the namespace as the cluster has it. Raises Undecided where the cluster does not
        show it."""
        found = self.kubectl.get("namespace", self.name)
        if found is None:
            raise Undecided(f"the namespace {self.name} was deleted while pods were asked in it")
        return found

    def put(self, objects: Sequence[Object]) -> None:
        """Apply objects in the namespace. Raises Failed."""
        self.kubectl.apply(
            {**one, "metadata": {**one["metadata"], "namespace": self.name}} for one in objects
        )

    def await_pods(
        self, look: Callable[[Mapping[str, Object]], Mapping[str, object]], seconds: float
    ) -> Mapping[str, Object]:
        """Return the namespace's pods, by name, as soon as `look` has decided everything or the
        time is over. Raises Undecided where the pods cannot be seen.

        + look: is given the pods, and returns None for each thing that they do not decide yet
        """
        deadline = Deadline(seconds)
        while True:
            listed = self.kubectl.list("pods", namespace=self.name)
            pods = {str(one["metadata"]["name"]): one for one in listed}
            if None not in look(pods).values() or deadline.is_over:
                return pods
            time.sleep(_PAUSE_S)

    def await_refusal(
        self, forbidden: Object, judge: Callable[[Sequence[str] | None], str], seconds: float
    ) -> str:
        """Return "" once a dry run of something forbidden is refused as it should be. When the time
        is over, return what `judge` says about the last dry run.

        + judge: is given the words of a refusal, or None if the dry run went through; returns ""
          for a refusal as it should be
        """
        dry = ("create", "--dry-run=server", "--validate=false", "--namespace", self.name)
        deadline = Deadline(seconds)
        while True:
            try:
                self.kubectl.run(*dry, "--filename", "-", stdin=json.dumps(forbidden).encode())
                why = judge(None)
            except Failed as failure:
                why = judge(failure.lines)
            if not why or deadline.is_over:
                return why
            time.sleep(_PAUSE_S)


@contextmanager
def probe_space(lab: Lab) -> Iterator[ProbeSpace]:
    """Yield a new namespace with an account for pods, and delete it after the block. One that a
    killed run left is deleted before. Raises Failed, LabError if the namespace is somebody else's,
    and Undecided where the cluster does not say."""
    name, kubectl = probe_namespace(lab.lab), Kubectl(lab)
    labels = {**owner_labels(lab), "pod-security.kubernetes.io/enforce": "restricted"}
    there = kubectl.get("namespace", name)
    if there is not None and not owner_by(lab, kubectl).has(there):
        raise LabError(f"the namespace {name} is not this lab's: delete it, or rename the lab")
    deletion = ("delete", "namespace", name, "--ignore-not-found")
    if there is not None:
        kubectl.run(*deletion, "--timeout", "90s", patience=120)
    try:
        kubectl.apply([namespace(name, labels), account(name)])
        yield ProbeSpace(kubectl, name)
    finally:
        # The end is not awaited here: a later run waits for it if it needs the namespace to be
        # gone.
        kubectl.succeeds(*deletion, "--wait=false")
