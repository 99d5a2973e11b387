"""What a seat of a class may use up, as the platform repository limits it."""

from __future__ import annotations

import yaml

from sopslab.layout import PLATFORM
from sopslab.model.clusters import SeatLimits, Share
from sopslab.model.quantities import quantity
from sopslab.model.yaml_loader import LOADER

_FILE = PLATFORM / "tenants" / "base" / "limits.yaml"
_MIB = 1024 * 1024


def seat_limits() -> SeatLimits:
    """Return what a seat may use up, and what each of its pods requests by default."""
    found = {one["kind"]: one["spec"] for one in yaml.load_all(_FILE.read_text(), LOADER)}
    quota = found["ResourceQuota"]["hard"]
    (container,) = found["LimitRange"]["limits"]
    return SeatLimits(
        quota=_share(quota["requests.cpu"], quota["requests.memory"], int(quota["pods"])),
        pod=_share(container["defaultRequest"]["cpu"], container["defaultRequest"]["memory"], 1),
    )


def _share(cpu: str, memory: str, pods: int) -> Share:
    return Share(int(quantity(cpu) * 1000), int(quantity(memory) / _MIB), pods)
