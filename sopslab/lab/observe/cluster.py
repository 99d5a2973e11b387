"""What the cluster has of one environment, in a few calls of kubectl, each in bounded time."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sopslab.checks.objects import kustomization, named
from sopslab.checks.snapshot import (
    UNASKED,
    Cluster,
    LiveSecret,
    Login,
    Snapshot,
    unseen,
)
from sopslab.config.environment import Environment
from sopslab.config.places import FLUX, Places
from sopslab.lab.observe import server
from sopslab.lab.observe.builds import held_by, seat_of
from sopslab.lab.observe.keys import PublicKeys, look_at_cluster_key
from sopslab.lab.observe.objects import (
    DELIVERY,
    Objects,
    ask_for,
    get,
    live_secret,
    refused,
    together,
)
from sopslab.lab.observe.secret_files import digest_live
from sopslab.lab.tools.files import has_content
from sopslab.lab.tools.kubectl import Kubectl, parsed
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.troubles import trouble_of
from sopslab.layout import FLUX_NAMESPACE, KEY_SECRET, KUSTOMIZATIONS
from sopslab.model.builds import build_of
from sopslab.model.objects import FLUX_KINDS, condition
from sopslab.model.results import Undecided
from sopslab.model.trouble import Trouble

_PATIENCE_S = 6.0


class Asked:
    """The lab's cluster, asked about one environment."""

    def __init__(self, places: Places, environment: Environment) -> None:
        self._places = places
        self._environment = environment
        self._kubectl = Kubectl(places)

    def look(self, seen: Snapshot, public: PublicKeys, executor: Executor) -> Snapshot:
        """Return the snapshot `seen` with everything that the cluster has of the environment."""
        trouble = self._trouble()
        if trouble is not None:
            return replace(unseen(seen, Undecided(UNASKED)), cluster=Cluster(trouble))
        try:
            seen = self._with_objects(seen)
        except Undecided as reason:
            return unseen(seen, reason)
        secrets = executor.submit(self._secrets)
        seen = self.look_at_delivered(seen, executor)
        try:
            entries = secrets.result()
        except Undecided as reason:
            return replace(seen, key=reason, login=reason)
        seen = replace(seen, login=self._login(entries.get(self._environment.login) or {}))
        try:
            return replace(seen, key=look_at_cluster_key(entries.get(KEY_SECRET), public))
        except Undecided as reason:
            return replace(seen, key=reason)

    def follow(self, seen: Snapshot) -> Snapshot:
        """Return the snapshot `seen` with the sources and Kustomizations as they are now."""
        system = self._environment.system
        try:
            now = self._ask(system, "GitRepository", "Kustomization")
        except Undecided:
            # A cluster that stays silent is reported by the next look.
            return seen
        return replace(
            seen,
            sources=now.within("GitRepository", system),
            kustomizations=now.within("Kustomization", system),
        )

    def look_at_delivered(self, seen: Snapshot, executor: Executor) -> Snapshot:
        """Return the snapshot `seen` with what Flux has stored and applied by now, and whose build
        it waits for."""
        stored = executor.submit(self._stored, seen)
        building = executor.submit(self._holder, seen)
        return replace(seen, live=self._live(), stored=stored.result(), holder=building.result())

    def _trouble(self) -> Trouble | None:
        if not has_content(self._places.lab_kubeconfig):
            return Trouble.NO_KUBECONFIG
        try:
            self._get("--raw", "/readyz")
        except Failed as failure:
            return trouble_of(failure.words)
        return None

    def _with_objects(self, seen: Snapshot) -> Snapshot:
        objects = self._ask(FLUX_NAMESPACE, "Node", "Deployment", *DELIVERY)
        if self._environment.is_seat:
            objects = together([objects, self._ask(self._environment.system, *FLUX_KINDS)])
        return objects.of(seen)

    def _holder(self, seen: Snapshot) -> str | Undecided:
        """Return the learner whose build the environment's own waits for, or is; "" if it waits for
        none, if no build takes too long, or if the one that does is not a learner's."""
        environment = self._environment
        try:
            own = kustomization(seen)
            if own is None or build_of(condition(own, "Reconciling")) is None:
                return ""
            builds = self._kubectl.list(KUSTOMIZATIONS, patience=_PATIENCE_S)
        except Undecided as reason:
            return reason
        found = held_by(builds, datetime.now(UTC))
        if found is None:
            return ""
        place = (found["metadata"]["namespace"], found["metadata"]["name"])
        if place == (environment.system, environment.kustomization):
            return environment.id
        return seat_of(found, self._places.lab)

    def _ask(self, namespace: str, *kinds: str) -> Objects:
        return ask_for(self._kubectl, kinds, "--namespace", namespace, patience=_PATIENCE_S)

    def _get(self, *arguments: str) -> bytes:
        return get(self._kubectl, *arguments, patience=_PATIENCE_S)

    def _secrets(self) -> dict[str, Mapping[str, Any]]:
        """Return the entries of the key's and the login's Secret, by Secret, in base64. Raises
        Undecided."""
        names = (KEY_SECRET, self._environment.login)
        where = ("--namespace", self._environment.system, "--ignore-not-found")
        try:
            said = self._get("secrets", *names, *where, "--output", "json")
        except Failed as failure:
            raise refused(failure) from None
        found = parsed(said) if said.strip() else {}
        # If only one of them exists, kubectl prints the object itself instead of a list.
        items = found.get("items", [found] if found else [])
        return {one["metadata"]["name"]: one.get("data") or {} for one in items}

    def _login(self, entries: Mapping[str, Any]) -> Login | None:
        """Return what the Git server answers to Flux's login, None if the Secret holds no valid
        one. The login is sent to no other server."""
        try:
            user, password = (
                base64.b64decode(entries[name]).decode() for name in ("username", "password")
            )
        except (KeyError, binascii.Error, ValueError):
            return None
        refs = f"{self._environment.repository}.git/info/refs?service=git-upload-pack"
        return Login(
            server.answer(self._places, f"{self._places.git_base_url}/{refs}", (user, password)),
            self._is_ours(user, password),
            self._places.account_dir(FLUX),
        )

    def _is_ours(self, user: str, password: str) -> bool:
        folder = Path(self._places.account_dir(FLUX))
        try:
            stored = [(folder / name).read_text().strip() for name in ("username", "password")]
        except (OSError, ValueError):
            return False
        return hmac.compare_digest(f"{user}\n{password}".encode(), "\n".join(stored).encode())

    def _live(self) -> dict[str, LiveSecret] | Undecided:
        try:
            return secrets_in(self._kubectl, self._environment.namespace)
        except Undecided as reason:
            return reason

    def _stored(self, seen: Snapshot) -> bool | Undecided | None:
        """Return whether the source controller serves the artifact that the source names, None if
        the source names none.

        Only the controller's own answer proves that the artifact is missing. Any other failure of
        the request is undecided.
        """
        if isinstance(seen.sources, Undecided):
            return seen.sources
        source = named(seen.sources, seen.chapter.source) or {}
        artifact = (source.get("status") or {}).get("artifact") or {}
        path = urlsplit(str(artifact.get("url", ""))).path
        if not path:
            return None
        service = f"/api/v1/namespaces/{FLUX_NAMESPACE}/services/http:source-controller:80/proxy"
        try:
            self._get("--raw", f"{service}{path}")
        except Failed as failure:
            if b"could not find the requested resource" in failure.words:
                return False
            return Undecided("the source controller could not be asked for the artifact")
        return True


def secrets_in(kubectl: Kubectl, namespace: str) -> dict[str, LiveSecret]:
    """Return the Secrets of a namespace by name, with the SHA-256 of each value. Raises
    Undecided."""
    where = ("--namespace", namespace)
    found = ask_for(kubectl, ["Secret"], *where, patience=_PATIENCE_S).items
    return {
        str(one["metadata"]["name"]): live_secret(one, digest_live(one.get("data") or {}))
        for one in found
    }
