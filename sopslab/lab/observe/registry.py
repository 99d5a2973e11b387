"""What was pushed to a registry, and whether the registry still has it."""

from __future__ import annotations

import ipaddress
import urllib.error
import urllib.request
from contextlib import suppress
from http.client import HTTPException

from sopslab.config.places import Lab
from sopslab.lab.tools.files import read
from sopslab.model.images import PushedImage
from sopslab.model.wire import decoded

_PATIENCE_S = 5
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json,"
    " application/vnd.docker.distribution.manifest.v2+json"
)


def recorded_images(lab: Lab) -> dict[str, PushedImage]:
    """Return the Git server's image that was pushed last, by the registry with the path below which
    it was pushed."""
    return decoded(dict[str, PushedImage], read(lab.pushed_images)) or {}


def recorded_image(lab: Lab, registry: str, made_of: str) -> str | None:
    """Return the reference by digest of the Git server's image, None if none was pushed to this
    registry that is made of this.

    + registry: with the path below which it was pushed
    """
    pushed = recorded_images(lab).get(registry)
    return pushed.reference if pushed is not None and pushed.made_of == made_of else None


def pushed_image(lab: Lab, registry: str, made_of: str) -> str | None:
    """Return the same, None if the registry does not have it any more, or does not answer.

    + registry: with the path below which it was pushed
    """
    recorded = recorded_image(lab, registry, made_of)
    return recorded if recorded is not None and _has(recorded) else None


def _has(reference: str) -> bool:
    """Return whether a registry has an image. One that asks for a login is believed to: Docker
    knows the password, and not this program."""
    name, _, digest = reference.partition("@")
    host, _, path = name.partition("/")
    local = _is_loopback(host)
    # As Docker does, which takes a registry without TLS elsewhere only where it is told to.
    for scheme in ("http",) if local else ("https", "http"):
        request = urllib.request.Request(
            f"{scheme}://{host}/v2/{path}/manifests/{digest}",
            headers={"Accept": _MANIFESTS},
            method="HEAD",
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({} if local else None))
        try:
            opener.open(request, timeout=_PATIENCE_S).close()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code in (401, 403)
        except (OSError, HTTPException, ValueError):
            continue
        return True
    return False


def _is_loopback(host: str) -> bool:
    name = host.partition(":")[0]
    with suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return name == "localhost"
