"""What the cluster has of environments, in few questions to kubectl, each in bounded time."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sopslab.checks.rules.objects import is_left_alone, named
from sopslab.checks.snapshot import (
    NOT_ASKED,
    UNASKED,
    Cluster,
    LiveSecret,
    Login,
    Snapshot,
    Trouble,
)
from sopslab.config.environment import Environment
from sopslab.config.places import FLUX, Places
from sopslab.lab.observe import server
from sopslab.lab.observe.keys import PublicKeys, look_at_cluster_key
from sopslab.lab.observe.secret_files import digest_live
from sopslab.lab.tools.files import has_content
from sopslab.lab.tools.kubectl import Kubectl, parsed
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.troubles import trouble_of
from sopslab.layout import FLUX_NAMESPACE, GIT_REPOSITORIES, KEY_SECRET, KUSTOMIZATIONS
from sopslab.model.objects import Object
from sopslab.model.results import Undecided

RECEIVERS = "receivers.notification.toolkit.fluxcd.io"
# What Flux brings, by what the rest of an object calls it.
_OF_FLUX = {
    "GitRepository": GIT_REPOSITORIES,
    "Kustomization": KUSTOMIZATIONS,
    "Receiver": RECEIVERS,
}
_PLATFORM_SOURCES = frozenset({FLUX_NAMESPACE, "tenant-base"})
_OWNER = "kustomize.toolkit.fluxcd.io"
_PATIENCE_S = 10.0
_ANSWER = ("--request-timeout", "6s")


class Objects:
    """Objects of the cluster, of which each environment has some."""

    def __init__(self, items: Iterable[Object], asked: Collection[str], unknown: Collection[str]):
        """
        + asked: the kinds that were asked for
        + unknown: those of them that the cluster does not know
        """
        self._asked, self._unknown = asked, unknown
        self._found: dict[tuple[str, str], list[Object]] = {}
        for one in items:
            namespace = str(one["metadata"].get("namespace", ""))
            self._found.setdefault((str(one["kind"]), namespace), []).append(one)

    def within(self, kind: str, namespace: str) -> Sequence[Object] | Undecided | None:
        """Return the objects of a kind in a namespace, None where the cluster does not know it."""
        if kind not in self._asked:
            return NOT_ASKED
        return None if kind in self._unknown else self._found.get((kind, namespace), [])

    def of(self, seen: Snapshot) -> Snapshot:
        """Return a look at an environment with what is its own of the objects."""
        environment = seen.environment
        controllers = self.within("Deployment", FLUX_NAMESPACE)
        return replace(
            seen,
            controllers=[] if controllers is None else controllers,
            sources=self.within("GitRepository", environment.system),
            kustomizations=self.within("Kustomization", environment.system),
            receivers=self.within("Receiver", environment.system),
            platform=self._platform(environment),
            namespaces={
                name: str((one.get("status") or {}).get("phase", ""))
                for one in self._found.get(("Namespace", ""), [])
                if (name := one["metadata"]["name"]) in (environment.namespace, environment.system)
            },
        )

    def _platform(self, environment: Environment) -> list[Object]:
        """Return the sources and Kustomizations in flux-system that make an environment."""
        made = {FLUX_NAMESPACE, environment.tenant}
        wanted = (("Kustomization", made), ("GitRepository", _PLATFORM_SOURCES))
        return [
            one
            for kind, names in wanted
            for one in self._found.get((kind, FLUX_NAMESPACE), [])
            if one["metadata"]["name"] in names
        ]


class Asked:
    """The lab's cluster, asked about one environment."""

    def __init__(self, places: Places, environment: Environment) -> None:
        self._places = places
        self._environment = environment
        self._kubectl = Kubectl(places)

    def look(self, seen: Snapshot, public: PublicKeys, executor: Executor) -> Snapshot:
        """Return a look at the environment with all that the cluster has of it."""
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
        return replace(
            seen,
            key=look_at_cluster_key(entries.get(KEY_SECRET), public),
            login=self._login(entries.get(self._environment.login) or {}),
        )

    def follow(self, seen: Snapshot) -> Snapshot:
        """Return a look with the sources and Kustomizations as they are now."""
        try:
            items, unknown = self._get(self._environment.system, "GitRepository", "Kustomization")
        except Undecided:
            # What comes of it is seen by whoever looks next.
            return seen
        now = Objects(items, ("GitRepository", "Kustomization"), unknown)
        system = self._environment.system
        return replace(
            seen,
            sources=now.within("GitRepository", system),
            kustomizations=now.within("Kustomization", system),
        )

    def look_at_delivered(self, seen: Snapshot, executor: Executor) -> Snapshot:
        """Return a look with what Flux has stored and applied by now."""
        stored = executor.submit(self._stored, seen)
        return replace(seen, live=self._live(), stored=stored.result())

    def _trouble(self) -> Trouble | None:
        if not has_content(self._places.lab_kubeconfig):
            return Trouble.NO_KUBECONFIG
        try:
            self._kubectl.run("get", "--raw", "/readyz", *_ANSWER, patience=_PATIENCE_S)
        except Failed as failure:
            return trouble_of(failure.words)
        return None

    def _with_objects(self, seen: Snapshot) -> Snapshot:
        asked = ("Node", "Namespace", "Deployment", *_OF_FLUX)
        items, unknown = self._get(FLUX_NAMESPACE, *asked)
        if self._environment.is_seat:
            more, _ = self._get(self._environment.system, *(kind for kind in _OF_FLUX))
            items = [*items, *more]
        nodes = [one for one in items if one["kind"] == "Node"]
        return replace(Objects(items, asked, unknown).of(seen), cluster=Cluster(nodes=nodes))

    def _get(self, namespace: str, *kinds: str) -> tuple[list[Object], set[str]]:
        """Return objects in a namespace, and the kinds that the cluster does not know. Raises
        Undecided."""
        try:
            return self._list(namespace, kinds), set()
        except Failed as failure:
            if not _is_unknown(failure) or len(kinds) == 1:
                raise _refused(failure) from None
        items: list[Object] = []
        unknown = set()
        for kind in kinds:
            try:
                items += self._list(namespace, [kind])
            except Failed as failure:
                if not _is_unknown(failure):
                    raise _refused(failure) from None
                unknown.add(kind)
        return items, unknown

    def _list(self, namespace: str, kinds: Iterable[str]) -> list[Object]:
        names = ",".join(_OF_FLUX.get(kind, f"{kind.lower()}s") for kind in kinds)
        return list(parsed(self._said(names, "--namespace", namespace))["items"])

    def _said(self, *arguments: str) -> bytes:
        return self._kubectl.run(
            "get", *arguments, "--output", "json", *_ANSWER, patience=_PATIENCE_S
        )

    def _secrets(self) -> dict[str, Mapping[str, Any]]:
        """Return the entries of the Secrets beside Flux's objects, in base64. Raises Undecided."""
        names = (KEY_SECRET, self._environment.login)
        where = ("--namespace", self._environment.system, "--ignore-not-found")
        try:
            said = self._said("secrets", *names, *where)
        except Failed as failure:
            raise _refused(failure) from None
        found = parsed(said) if said.strip() else {}
        # Of a single one that is there, kubectl makes no list.
        items = found.get("items", [found] if found else [])
        return {one["metadata"]["name"]: one.get("data") or {} for one in items}

    def _login(self, entries: Mapping[str, Any]) -> Login | None:
        """Return what the Git server answers to Flux's credential, which goes nowhere else."""
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
            said = self._said("secrets", "--namespace", self._environment.namespace)
            items = parsed(said)["items"]
        except Failed as failure:
            return _refused(failure)
        except Undecided as reason:
            return reason
        return {str(one["metadata"]["name"]): _live_secret(one) for one in items}

    def _stored(self, seen: Snapshot) -> bool | Undecided | None:
        """Return whether the source controller serves the artifact that the source names.

        Only its own answer that it is not there is a proof.
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
            self._kubectl.run("get", "--raw", f"{service}{path}", *_ANSWER, patience=_PATIENCE_S)
        except Failed as failure:
            if b"could not find the requested resource" in failure.words:
                return False
            return Undecided("the source controller could not be asked for the artifact")
        return True


def unseen(seen: Snapshot, reason: Undecided) -> Snapshot:
    """Return a look with the reason why nothing of the cluster was seen."""
    return replace(
        seen,
        cluster=reason,
        controllers=reason,
        sources=reason,
        kustomizations=reason,
        receivers=reason,
        platform=reason,
        namespaces=reason,
        key=reason,
        login=reason,
        live=reason,
        stored=reason,
    )


def _is_unknown(failure: Failed) -> bool:
    return b"doesn't have a resource type" in failure.words


def _refused(failure: Failed) -> Undecided:
    return Undecided(trouble_of(failure.words).value)


def _live_secret(found: Object) -> LiveSecret:
    labels = found["metadata"].get("labels") or {}
    digests = digest_live(found.get("data") or {})
    return LiveSecret(digests.keys(), digests, owner_of(labels), is_left_alone(found))


def owner_of(labels: Mapping[str, str]) -> str:
    """Return the Kustomization that applied an object, by its labels; empty without one."""
    names = [labels.get(f"{_OWNER}/{part}", "") for part in ("namespace", "name")]
    return "/".join(names) if all(names) else ""
