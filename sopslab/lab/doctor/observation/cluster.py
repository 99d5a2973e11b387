"""What the cluster has of one environment: its questions are asked side by side."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path

from sopslab.checks.doctor.objects import is_left_alone, named
from sopslab.checks.doctor.seen import LiveSecret, Login, Objects
from sopslab.config.environment import Environment
from sopslab.config.places import FLUX
from sopslab.config.settings import Settings
from sopslab.lab.observe import server
from sopslab.lab.observe.cluster import Connection
from sopslab.lab.observe.keys import PublicKeys, look_at_cluster_key
from sopslab.lab.observe.repository import digest_live
from sopslab.layout import FLUX_NAMESPACE
from sopslab.model.objects import Object

_PLATFORM_SOURCES = ("flux-system", "tenant-base")


def look_at_objects(
    settings: Settings,
    environment: Environment,
    connection: Connection,
    public: PublicKeys,
    executor: Executor,
) -> Objects:
    """Return what the cluster has of an environment. Raises Undecided if it does not answer."""
    flux = executor.submit(connection.flux)
    platform = executor.submit(_platform, environment, connection)
    namespaces = executor.submit(_namespaces, environment, connection)
    key = executor.submit(lambda: look_at_cluster_key(connection.key(), public))
    login = executor.submit(_login, settings, environment, connection)
    live = executor.submit(_live, environment, connection)
    found = flux.result()
    source = named(found.repositories, environment.source)
    return Objects(
        found,
        platform.result(),
        namespaces.result(),
        key.result(),
        login.result(),
        live.result(),
        connection.has_artifact(source),
    )


def _platform(environment: Environment, connection: Connection) -> list[Object]:
    """Return the sources and Kustomizations in flux-system that make an environment."""
    kustomize = f"/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{FLUX_NAMESPACE}/kustomizations"
    source = f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{FLUX_NAMESPACE}/gitrepositories"
    wanted: Mapping[str, Callable[[str], bool]] = {
        kustomize: {FLUX_NAMESPACE, environment.tenant}.__contains__,
        source: _PLATFORM_SOURCES.__contains__,
    }
    return [
        one
        for path, is_wanted in wanted.items()
        for one in connection.items(path) or ()
        if is_wanted(one["metadata"]["name"])
    ]


def _namespaces(environment: Environment, connection: Connection) -> dict[str, str]:
    phases = {}
    for name in {environment.namespace, environment.system}:
        found = connection.get(f"/api/v1/namespaces/{name}")
        if found is not None:
            phases[name] = str((found.get("status") or {}).get("phase", ""))
    return phases


def _login(settings: Settings, environment: Environment, connection: Connection) -> Login | None:
    """Return what the Git server answers to Flux's credential, which goes nowhere else."""
    entries = connection.entries(environment.login) or {}
    try:
        user, password = (
            base64.b64decode(entries[name]).decode() for name in ("username", "password")
        )
    except (KeyError, binascii.Error, ValueError):
        return None
    refs = f"{environment.repository}.git/info/refs?service=git-upload-pack"
    return Login(
        server.answer(settings, f"{settings.git_base_url}/{refs}", (user, password)),
        _is_ours(settings, user, password),
        settings.account_dir(FLUX),
    )


def _is_ours(settings: Settings, user: str, password: str) -> bool:
    folder = Path(settings.account_dir(FLUX))
    try:
        stored = [(folder / name).read_text().strip() for name in ("username", "password")]
    except (OSError, ValueError):
        return False
    return hmac.compare_digest(f"{user}\n{password}".encode(), "\n".join(stored).encode())


def _live(environment: Environment, connection: Connection) -> dict[str, LiveSecret]:
    found = connection.items(f"/api/v1/namespaces/{environment.namespace}/secrets") or ()
    return {
        str(one["metadata"]["name"]): LiveSecret(
            digest_live(one.get("data") or {}), is_left_alone(one)
        )
        for one in found
    }
