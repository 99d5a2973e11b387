"""The cluster's objects, read with the lab's own kubeconfig and the kubernetes package.

Its import is slow and happens here only. It must not share a process with pyinfra, which patches
the standard library beneath it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3.exceptions
from kubernetes.client import ApiClient, ApiException, Configuration
from kubernetes.config import ConfigException, load_kube_config

from sopslab.checks.verification.cluster import Cluster, Flux, Trouble
from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.layout import FLUX_NAMESPACE, KEY_SECRET
from sopslab.model.objects import Object
from sopslab.model.results import Undecided

_TIMEOUT = (3, 6)  # seconds to connect, and to wait for an answer


class Unreachable(Exception):
    """The cluster cannot be asked."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.value)
        self.trouble = trouble


class Connection:
    """The API server of the lab's cluster, asked about one environment.

    Raises Unreachable if there is no usable kubeconfig.
    """

    def __init__(self, settings: Settings, environment: Environment) -> None:
        self._environment = environment
        if not Path(settings.lab_kubeconfig).is_file():
            raise Unreachable(Trouble.NO_KUBECONFIG)
        configuration = Configuration()
        configuration.retries = False
        if settings.cluster_provider == "kind":
            # The API server of kind listens on loopback.
            configuration.proxy = None
        try:
            load_kube_config(
                config_file=settings.lab_kubeconfig,
                context=settings.lab_context,
                client_configuration=configuration,
                persist_config=False,
            )
        except (ConfigException, OSError, ValueError, TypeError, AttributeError, KeyError):
            raise Unreachable(Trouble.BAD_KUBECONFIG) from None
        self._client = ApiClient(configuration)

    def request(self, method: str, path: str, **query: str) -> tuple[int, bytes]:
        """Return status and body of a request. Raises Unreachable without an answer."""
        response = self._call(method, path, query, _TIMEOUT)
        try:
            return int(response.status), response.read() or b""
        except (urllib3.exceptions.HTTPError, OSError):
            raise Unreachable(Trouble.SILENT) from None

    def get(self, path: str, **query: str) -> Any:
        """Return an object of the API, None if there is none. Raises Undecided otherwise."""
        try:
            status, body = self.request("GET", path, **query)
        except Unreachable as error:
            raise Undecided(error.trouble.value) from None
        if status == 404:
            return None
        if status != 200:
            raise Undecided(f"the API server answers {status} where it was asked for {path}")
        try:
            return json.loads(body)
        except ValueError:
            raise Undecided("the API server does not answer in JSON") from None

    def items(self, path: str) -> list[Object] | None:
        """Return the objects of a list, None if the cluster does not know their kind."""
        found = self.get(path)
        if found is None:
            return None
        # Items of a list carry no kind of their own.
        kind = str(found.get("kind", "")).removesuffix("List")
        return [{"kind": kind, **one} for one in found.get("items") or []]

    def look(self) -> Cluster:
        """Return whether the API server answers, and its nodes."""
        try:
            status, _ = self.request("GET", "/readyz")
        except Unreachable as error:
            return Cluster(error.trouble)
        if status in (401, 403):
            return Cluster(Trouble.DENIED)
        if status != 200:
            return Cluster(Trouble.UNWELL)
        return Cluster(nodes=self.items("/api/v1/nodes") or [])

    def flux(self) -> Flux:
        """Return Flux's controllers, and its objects beside the environment's."""
        system = self._environment.system
        return Flux(
            self.items(f"/apis/apps/v1/namespaces/{FLUX_NAMESPACE}/deployments") or [],
            self.items(_sources(system)),
            self.items(_kustomizations(system)),
            self.items(f"/apis/notification.toolkit.fluxcd.io/v1/namespaces/{system}/receivers"),
        )

    def key(self) -> Mapping[str, str] | None:
        """Return the entries of sops-age in base64, None without it."""
        return self.entries(KEY_SECRET)

    def entries(self, name: str) -> Mapping[str, str] | None:
        """Return the entries of a Secret beside Flux's objects in base64, None without it."""
        found = self.get(_secret(self._environment.system, name))
        return None if found is None else found.get("data") or {}

    def secret(self, name: str) -> Mapping[str, Any] | None:
        """Return a Secret of the environment, None if it is not there."""
        found: Mapping[str, Any] | None = self.get(_secret(self._environment.namespace, name))
        return found

    def repository(self, name: str) -> Object | None:
        """Return a GitRepository, None if it is not there."""
        found: Object | None = self.get(
            f"{_sources(self._environment.system)}/{quote(name, safe='')}"
        )
        return found

    def kustomization(self) -> Object | None:
        """Return the Kustomization of the environment, None if it is not there."""
        path = _kustomizations(self._environment.system)
        found: Object | None = self.get(f"{path}/{self._environment.kustomization}")
        return found

    def has_artifact(self, repository: Object | None) -> bool | None:
        """Return whether the source controller serves the artifact that a GitRepository names.

        None where that cannot be seen: only its own 404 is a proof.
        """
        artifact = ((repository or {}).get("status") or {}).get("artifact") or {}
        path = urlsplit(str(artifact.get("url", ""))).path
        if not path:
            return None
        service = f"/api/v1/namespaces/{FLUX_NAMESPACE}/services/http:source-controller:80/proxy"
        try:
            status, _ = self.request("HEAD", f"{service}{path}")
        except Unreachable:
            return None
        return {200: True, 404: False}.get(status)

    def await_repository(
        self, name: str, reached: Callable[[Object], bool], seconds: float
    ) -> None:
        """Return once a GitRepository is as wanted, or the time is up."""
        self._await(_sources(self._environment.system), name, reached, seconds)

    def await_kustomization(self, reached: Callable[[Object], bool], seconds: float) -> None:
        """Return once the Kustomization is as wanted, or the time is up."""
        path = _kustomizations(self._environment.system)
        self._await(path, self._environment.kustomization, reached, seconds)

    def _await(
        self, path: str, name: str, reached: Callable[[Object], bool], seconds: float
    ) -> None:
        deadline = time.monotonic() + seconds
        query = {
            "watch": "1",
            "fieldSelector": f"metadata.name={name}",
            "timeoutSeconds": str(math.ceil(seconds)),
        }
        try:
            response = self._call("GET", path, query, (_TIMEOUT[0], seconds))
            try:
                for line in response.response:
                    event = json.loads(line)
                    if event["type"] in ("ADDED", "MODIFIED") and reached(event["object"]):
                        return
                    if time.monotonic() > deadline:
                        return
            finally:
                response.response.close()
        except (Unreachable, urllib3.exceptions.HTTPError, OSError, ValueError, KeyError):
            # What comes of it is seen by whoever looks next.
            return

    def _call(
        self, method: str, path: str, query: Mapping[str, str], timeout: tuple[float, float]
    ) -> Any:
        try:
            return self._client.call_api(
                *self._client.param_serialize(
                    method, path, query_params=list(query.items()), auth_settings=["BearerToken"]
                ),
                _request_timeout=timeout,
            )
        except ApiException:
            # Of no HTTP status, but of TLS: kubernetes/client/rest.py.
            raise Unreachable(Trouble.CERTIFICATE) from None
        except urllib3.exceptions.NewConnectionError:
            raise Unreachable(Trouble.REFUSED) from None
        except (urllib3.exceptions.HTTPError, OSError):
            raise Unreachable(Trouble.SILENT) from None


def _sources(namespace: str) -> str:
    return f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{namespace}/gitrepositories"


def _kustomizations(namespace: str) -> str:
    return f"/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{namespace}/kustomizations"


def _secret(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets/{quote(name, safe='')}"
