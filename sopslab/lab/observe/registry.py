"""The images that were pushed to registries, and whether a registry still has them."""

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
    """Return the Git server's image that was pushed last to each registry. The key is the registry
    with the path below which the image was pushed."""
    return decoded(dict[str, PushedImage], read(lab.pushed_images)) or {}


def recorded_image(lab: Lab, registry: str, made_of: str) -> str | None:
    """Return the reference by digest of the Git server's image that was pushed to a registry, None
    if none is on record, or it was made of something else.

    + registry: the registry with the path below which the image was pushed
    + made_of: what the image has to be made of
    """
    pushed = recorded_images(lab).get(registry)
    return pushed.reference if pushed is not None and pushed.made_of == made_of else None


def pushed_image(lab: Lab, registry: str, made_of: str) -> str | None:
    """Return the same as `recorded_image`, but None if the registry no longer has the image, or
    does not answer.

    + registry: the registry with the path below which the image was pushed
    + made_of: what the image has to be made of
    """
    recorded = recorded_image(lab, registry, made_of)
    return recorded if recorded is not None and _has(recorded) else None


def _has(reference: str) -> bool:
    """Return whether a registry has an image. If the registry asks for a login, the image is
    assumed to be there, because only Docker knows the password."""
    name, _, digest = reference.partition("@")
    host, _, path = name.partition("/")
    local = _is_loopback(host)
    # As Docker does: it uses HTTP on loopback, and elsewhere only where it is configured to.
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
